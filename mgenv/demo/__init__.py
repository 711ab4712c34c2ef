"""The two things worth seeing first: a world that remembers, and a policy that learns in it."""
