/* Looks over the shoulder of an unmodified OpenArena (ioquake3); loaded with LD_PRELOAD.
 *
 * It stands at three seams between the game and what the game calls:
 *   its renderer's table of functions: what view a frame shows; commands go in there too;
 *   the swap of buffers: colour and depth go out, and the game waits until it may go on;
 *   the clock: it stands still but for the time that each frame is given.
 *
 * On the socket MGENV_HOOK_SOCKET every frame is a `struct frame` and, where it shows the world,
 * its colours (RGBA bytes, H x W x 4) and depth buffer (float, H x W), rows from the bottom. The
 * answer is a `struct reply` and console commands. The game ends when the socket does.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/time.h>
#include <unistd.h>

/* ---- What the game and its renderer tell each other, as far as it is used here ---- */

enum { API_VERSION = 8, ADD_ENTITY = 10, RENDER_SCENE = 15 }; /* places in the renderer's table */
enum { EXECUTE_TEXT = 18 };                                   /* and in the game's */
enum { AT_NEXT_FRAME = 2, NO_WORLD = 1, IN_MIRRORS_ONLY = 2 };

struct entity {
    int32_t kind, flags; /* and more */
};

struct view {
    int32_t x, y, width, height;
    float fov[2]; /* degrees */
    float origin[3];
    float axis[3][3]; /* forward, left, up */
    int32_t time;     /* milliseconds */
    int32_t flags;
    unsigned char areas[32], texts[8][32];
};

typedef void (*function)(void);
typedef function *(*get_api)(int version, function *imports);

/* ---- What the recorder and this file tell each other ---- */

struct frame {
    uint32_t seen; /* whether it shows the world; if not, only this holds */
    uint32_t own;  /* whether with the player's own eyes; the dead are shown from outside */
    int32_t width, height, time;
    float origin[3], axis[3][3];
    float projection[16]; /* OpenGL's, by columns */
};

struct reply {
    uint32_t milliseconds; /* until the next frame */
    uint32_t length;       /* of the commands, in bytes */
};

enum { COMMANDS = 4096 };
static const float FIELD_OF_VIEW = 90.0f;

static struct frame frame;
static int64_t clock_us;
static int peeks; /* at the clock, since the last frame */

static void fail(const char *expected) {
    fprintf(stderr, "mgenv: expected %s\n", expected);
    _exit(3);
}

static void *next(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) fail(name);
    return found;
}

static int setting(const char *name) {
    const char *text = getenv(name);
    if (!text) fail(name);
    return atoi(text);
}

/* ---- The clock ---- */

enum { EPOCH = 1000000000, PATIENCE = 10000 };

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    static int asked;
    (void)zone;
    if (!asked++) { /* the game counts its time from this answer; its dice start from that time */
        now->tv_sec = EPOCH;
        now->tv_usec = 0;
        clock_us += 1000LL * setting("MGENV_HOOK_CLOCK");
        return 0;
    }
    if (++peeks % PATIENCE == 0) clock_us += 1000; /* loops that wait without a frame end */
    now->tv_sec = EPOCH + clock_us / 1000000;
    now->tv_usec = clock_us % 1000000;
    return 0;
}

int select(int count, fd_set *restrict readable, fd_set *restrict writable,
           fd_set *restrict failed, struct timeval *restrict timeout) {
    static int (*real)(int, fd_set *, fd_set *, fd_set *, struct timeval *);
    struct timeval at_once = {0, 0};
    if (!real) real = next("select");
    if (!timeout) return real(count, readable, writable, failed, NULL);
    clock_us += timeout->tv_sec * 1000000LL + timeout->tv_usec;
    return real(count, readable, writable, failed, &at_once);
}

/* ---- The view ---- */

static get_api real_api;
static void (*render_scene)(const struct view *);
static void (*add_entity)(const struct entity *);
static void (*execute_text)(int when, const char *text);
static int own_body; /* whether it is hidden but from mirrors, as it is before one's own eyes */

static void meet(const struct entity *entity) {
    own_body |= entity->flags & IN_MIRRORS_ONLY;
    add_entity(entity);
}

static void see(const struct view *view) {
    struct view held = *view;
    if (view->flags & NO_WORLD) return; /* faces and things that are drawn onto the screen */
    held.fov[0] = held.fov[1] = FIELD_OF_VIEW; /* it sways under water */
    frame.seen = 1;
    frame.own = own_body != 0;
    frame.width = view->width;
    frame.height = view->height;
    frame.time = view->time;
    memcpy(frame.origin, view->origin, sizeof frame.origin);
    memcpy(frame.axis, view->axis, sizeof frame.axis);
    render_scene(&held);
}

static function *watched_api(int version, function *imports) {
    function *exports = real_api(version, imports);
    if (!exports || version != API_VERSION) fail("a renderer of API version 8");
    render_scene = (void (*)(const struct view *))exports[RENDER_SCENE];
    add_entity = (void (*)(const struct entity *))exports[ADD_ENTITY];
    execute_text = (void (*)(int, const char *))imports[EXECUTE_TEXT];
    exports[RENDER_SCENE] = (function)see;
    exports[ADD_ENTITY] = (function)meet;
    return exports;
}

void *SDL_LoadFunction(void *library, const char *name) {
    static void *(*real)(void *, const char *);
    if (!real) real = next("SDL_LoadFunction");
    void *found = real(library, name);
    if (!found || strcmp(name, "GetRefAPI")) return found;
    real_api = (get_api)found;
    return (void *)watched_api;
}

/* ---- The lens: the last perspective of a frame, since mirrors are drawn before the view ---- */

static void (*load_matrix)(const float *);
static void (*read_pixels)(int, int, int, int, unsigned, unsigned, void *);
static void (*pixel_store)(unsigned, int);

static void note_matrix(const float *matrix) {
    if (matrix[11] == -1.0f) memcpy(frame.projection, matrix, sizeof frame.projection);
    load_matrix(matrix);
}

void *SDL_GL_GetProcAddress(const char *name) {
    static void *(*real)(const char *);
    if (!real) real = next("SDL_GL_GetProcAddress");
    void *found = real(name);
    if (!found || strcmp(name, "glLoadMatrixf")) return found;
    load_matrix = (void (*)(const float *))found;
    read_pixels = (void (*)(int, int, int, int, unsigned, unsigned, void *))real("glReadPixels");
    pixel_store = (void (*)(unsigned, int))real("glPixelStorei");
    return (void *)note_matrix;
}

/* ---- Lock-step ---- */

enum { BYTES = 0x1401, FLOATS = 0x1406, DEPTH = 0x1902, RGBA = 0x1908, PACK_ALIGNMENT = 0x0D05 };

static void transfer(int out, void *data, size_t size) {
    static int peer = -1;
    if (peer < 0) peer = setting("MGENV_HOOK_SOCKET");
    for (char *at = data; size > 0;) {
        ssize_t moved = out ? write(peer, at, size) : read(peer, at, size);
        if (moved <= 0) _exit(0); /* the recorder is gone */
        at += moved;
        size -= moved;
    }
}

static void show(void) {
    static char *pixels;
    static size_t space;
    size_t plane = 4 * (size_t)frame.width * frame.height;
    if (2 * plane > space) pixels = realloc(pixels, space = 2 * plane);
    if (!pixels) fail("memory for a picture");
    pixel_store(PACK_ALIGNMENT, 1);
    read_pixels(0, 0, frame.width, frame.height, RGBA, BYTES, pixels);
    read_pixels(0, 0, frame.width, frame.height, DEPTH, FLOATS, pixels + plane);
    transfer(1, pixels, 2 * plane);
}

void SDL_GL_SwapWindow(void *window) {
    static void (*real)(void *);
    struct reply reply;
    char commands[COMMANDS];
    if (!real) real = next("SDL_GL_SwapWindow");
    transfer(1, &frame, sizeof frame);
    if (frame.seen) show();
    real(window);
    transfer(0, &reply, sizeof reply);
    if (reply.length >= COMMANDS) fail("fewer commands");
    transfer(0, commands, reply.length);
    commands[reply.length] = 0;
    if (reply.length) execute_text(AT_NEXT_FRAME, commands);
    clock_us += 1000LL * reply.milliseconds;
    frame.seen = own_body = peeks = 0;
}
