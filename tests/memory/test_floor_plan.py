"""Ways along a plan's floor."""

import numpy as np
import pytest

from mgenv.memory.floor_plan import FloorPlan


def corridor(length: int = 20) -> FloorPlan:
    """A corridor of 0.3 m along x, and a single free cell 0.2 m beside its start."""
    free = np.zeros((8, length), np.bool_)
    free[:3] = True
    free[4, 0] = True  # joined to nothing
    return FloorPlan(np.zeros(2), free, height=0.0)


def test_a_waypoint_is_found_from_beside_a_cell_that_leads_nowhere():
    plan = corridor()
    field = plan.distances([1.85, 0.15])
    beside = np.array([0.05, 0.42])  # in the lone cell
    assert np.isfinite(plan.lookup(field, beside))
    assert plan.waypoint(field, beside) == pytest.approx([0.05, 0.25]), "back to the corridor"
    assert plan.waypoint(field, [0.05, 0.15])[0] > 0.6, "along it"


@pytest.mark.parametrize("off", [0.0, 0.06, 0.25])
def test_the_way_leads_on_to_a_goal_beside_the_free_cells(off):
    plan = corridor()
    field = plan.distances([1.95 + off, 0.15])  # the last cell's middle and beyond
    assert plan.lookup(field, [0.95, 0.15]) == pytest.approx(1.0 + off, abs=1e-5)
