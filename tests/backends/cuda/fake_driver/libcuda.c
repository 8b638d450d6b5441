// A stand-in for CUDA's driver, libcuda.so.1, on a machine without a GPU: what `mocha.backends.cuda.gpu` asks of it.
//
// The memory of the device is the host's. A "cubin" is the path of a shared library, its kernels made by g++ with
// emulation.h. Work on a stream is done as late as possible: when somebody waits for it. What the documentation of the
// driver forbids fails with the result that it names: calls without a context, handles and pointers that are unknown or
// were given back, copies beyond an allocation, waiting or allocating while a stream captures; and what fails while it
// is done spoils the context for good. A function that is not here says CUDA_ERROR_NOT_SUPPORTED.
//
// Environment: FAKE_CUDA_DEVICES (their number), FAKE_CUDA_MEMORY (bytes of each), FAKE_CUDA_CAPABILITY ("9.0"),
// FAKE_CUDA_VERSION (13000 for 13.0), FAKE_CUDA_INIT (what cuInit returns; with 100, CUDA_ERROR_NO_DEVICE, cuDNN builds
// plans for a GPU that is described to it, also those whose kernels it compiles).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef STEP_BYTES
#define STEP_BYTES 480  // of a kernel's one argument
#endif
#define API __attribute__((visibility("default")))

typedef enum {
    SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, INVALID_DEVICE = 101, INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201, INVALID_HANDLE = 400, ILLEGAL_STATE = 401, NOT_FOUND = 500, NOT_READY = 600,
    ILLEGAL_ADDRESS = 700, CONTEXT_IS_DESTROYED = 709, LAUNCH_FAILED = 719, NOT_PERMITTED = 800, NOT_SUPPORTED = 801,
    CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901, CAPTURE_UNMATCHED = 903, CAPTURE_ISOLATION = 905,
    CAPTURED_EVENT = 907, CAPTURE_WRONG_THREAD = 908,
} Result;

typedef enum { GONE, MEMORY, PINNED, STREAM, EVENT, MODULE, FUNCTION, GRAPH, EXEC, KINDS } Kind;
enum { GLOBAL = 0, THREAD_LOCAL = 1 };  // modes of capture
enum { DISABLE_TIMING = 2 };            // flag of an event

typedef struct Object Object;
typedef const char* (*Kernel)(const void* step, int blocks, int threads, int backwards);

typedef struct Work {
    struct Work* next;
    enum { COPY, LAUNCH, CALL, RECORD, WAIT } kind;
    void *to, *from;               // COPY
    Object *device_memory, *host;  // the allocations that it reaches; host is null for memory that is not pinned
    size_t bytes;
    Kernel code;  // LAUNCH
    unsigned blocks, threads;
    char step[STEP_BYTES];
    void (*call)(void*);  // CALL
    void* data;
    Object *event, *stream;  // RECORD; WAIT: until the stream has come to a position
    uint64_t position;
} Work;

typedef struct { Work *first, *last; } List;

typedef struct {
    int users;            // of the primary context
    unsigned generation;  // grows when it is destroyed
    Result error;         // sticky
    size_t held;
} Card;

struct Object {  // never freed, so that an old handle is never that of a new object
    Kind kind;
    Card* card;
    Object* next;
    char* begin;  // memory
    size_t bytes;
    List work;  // what a stream has not done yet; what is in a graph
    uint64_t handed, done;
    enum { NONE, CAPTURING, INVALIDATED } capture;
    List captured;
    pthread_t owner;
    int mode;
    Object* stream;  // an event's; whether it was recorded while that captured
    uint64_t position;
    bool in_capture;
    unsigned flags;
    double time;
    void* library;  // a module's
    Object* module;  // a function's
    Kernel code;
};

static pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static bool initialized, calling;  // calling: a function of the host is being called by a stream
static Card cards[8];
static Object* objects;
static __thread struct { Card* card; unsigned generation; } current;

static int enter(void) {
    pthread_mutex_lock(&mutex);
    return 0;
}

static void leave(int* entered) {
    (void)entered;
    pthread_mutex_unlock(&mutex);
}

static long long setting(const char* name, long long otherwise) {
    const char* text = getenv(name);
    return text && *text ? atoll(text) : otherwise;
}

static int count_cards(void) { return (int)setting("FAKE_CUDA_DEVICES", 1); }
static size_t card_memory(void) { return (size_t)setting("FAKE_CUDA_MEMORY", 1ll << 30); }

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static Result find_current(Card** found) {
    if (!initialized) return NOT_INITIALIZED;
    if (calling) return NOT_PERMITTED;
    if (!current.card) return INVALID_CONTEXT;
    if (current.generation != current.card->generation) return CONTEXT_IS_DESTROYED;
    *found = current.card;
    return current.card->error;
}

#define CHECK(condition, result) do { if (!(condition)) return result; } while (0)
#define PASS(call) do { const Result passed = (call); if (passed) return passed; } while (0)
#define LOCK int entered __attribute__((cleanup(leave), unused)) = enter()
#define READY LOCK; CHECK(initialized, NOT_INITIALIZED)
#define HERE LOCK; Card* here; PASS(find_current(&here))
#define FIND(kind, name, handle) Object* name = find(kind, here, handle); CHECK(name, INVALID_HANDLE)
#define SAFE PASS(check_safe())

static Object* find(Kind kind, const Card* card, const void* handle) {
    for (Object* o = objects; o; o = o->next)
        if (o == handle) return o->kind == kind && o->card == card ? o : NULL;
    return NULL;
}

// The allocation that an address lies in.
static Object* find_memory(Kind kind, const Card* card, const void* address) {
    const char* at = address;
    for (Object* o = objects; o; o = o->next)
        if (o->kind == kind && o->card == card && at >= o->begin && at < o->begin + o->bytes) return o;
    return NULL;
}

static bool reaches_beyond(const Object* o, const void* address, size_t bytes) {
    return bytes > (size_t)(o->begin + o->bytes - (const char*)address);
}

static Object* add(Kind kind, Card* card) {
    Object* o = calloc(1, sizeof(Object));
    o->kind = kind;
    o->card = card;
    o->next = objects;
    return objects = o;
}

static void append(List* list, Work* work) {
    work->next = NULL;
    *(list->first ? &list->last->next : &list->first) = work;
    list->last = work;
}

static void clear(List* list) {
    for (Work *w = list->first, *next; w; w = next) {
        next = w->next;
        free(w);
    }
    list->first = list->last = NULL;
}

static void run_to(Object* stream, uint64_t position);

static Result do_work(const Work* w) {
    switch (w->kind) {
        case COPY:
            CHECK(w->device_memory->kind == MEMORY && (!w->host || w->host->kind == PINNED), ILLEGAL_ADDRESS);
            memmove(w->to, w->from, w->bytes);
            break;
        case LAUNCH: return w->code(w->step, (int)w->blocks, (int)w->threads, 0) ? LAUNCH_FAILED : SUCCESS;
        case CALL:
            calling = true;
            w->call(w->data);
            calling = false;
            break;
        case RECORD: w->event->time = now(); break;
        case WAIT: run_to(w->stream, w->position); break;
    }
    return SUCCESS;
}

static void run_to(Object* stream, uint64_t position) {
    while (stream->done < position && stream->work.first) {
        Work* work = stream->work.first;
        stream->work.first = work->next;
        ++stream->done;
        const Result wrong = stream->card->error ? SUCCESS : do_work(work);
        if (wrong) stream->card->error = wrong;
        free(work);
    }
}

static void run_all(const Card* card) {
    for (Object* o = objects; o; o = o->next)
        if (o->kind == STREAM && o->card == card) run_to(o, o->handed);
}

// Refuses what may not be done while this thread captures; that spoils the capture.
static Result check_safe(void) {
    Result result = SUCCESS;
    for (Object* o = objects; o; o = o->next) {
        const bool here = pthread_equal(o->owner, pthread_self());
        const bool concerned = o->mode == GLOBAL || (o->mode == THREAD_LOCAL && here);
        if (o->kind == STREAM && o->capture && concerned) {
            o->capture = INVALIDATED;
            result = CAPTURE_UNSUPPORTED;
        }
    }
    return result;
}

static Result check_waitable(Object* stream) {
    if (!stream->capture) return SUCCESS;
    stream->capture = INVALIDATED;
    return CAPTURE_UNSUPPORTED;
}

static Result push(Object* stream, Work work) {
    CHECK(stream->capture != INVALIDATED, CAPTURE_INVALIDATED);
    Work* made = malloc(sizeof(Work));
    *made = work;
    append(stream->capture ? &stream->captured : &stream->work, made);
    stream->handed += !stream->capture;
    return SUCCESS;
}

static void destroy(Object* o) {
    if (o->kind == MEMORY) o->card->held -= o->bytes;
    if (o->kind == MEMORY || o->kind == PINNED) free(o->begin);
    if (o->kind == MODULE) {
        dlclose(o->library);
        for (Object* f = objects; f; f = f->next)
            if (f->kind == FUNCTION && f->module == o) f->kind = GONE;
    }
    clear(&o->work);
    clear(&o->captured);
    o->kind = GONE;
}

// -- for tests

// How many objects of a kind there are.
API int fake_count(int kind) {
    LOCK;
    int count = 0;
    for (Object* o = objects; o; o = o->next) count += (int)o->kind == kind;
    return count;
}

// How often primary contexts were retained and not released.
API int fake_contexts(void) {
    LOCK;
    int count = 0;
    for (int i = 0; i < 8; ++i) count += cards[i].users;
    return count;
}

// -- what needs no context

API Result cuInit(unsigned flags) {
    LOCK;
    CHECK(!flags, INVALID_VALUE);
    const Result result = (Result)setting("FAKE_CUDA_INIT", SUCCESS);
    initialized = initialized || !result;
    return result;
}

API Result cuDriverGetVersion(int* version) {
    *version = (int)setting("FAKE_CUDA_VERSION", 13000);
    return SUCCESS;
}

API Result cuDeviceGetCount(int* count) {
    READY;
    *count = count_cards();
    return SUCCESS;
}

API Result cuDeviceGet(int* device, int ordinal) {
    READY;
    CHECK(ordinal >= 0 && ordinal < count_cards(), INVALID_DEVICE);
    *device = ordinal;
    return SUCCESS;
}

#define DEVICE READY; CHECK(device >= 0 && device < count_cards(), INVALID_DEVICE)

API Result cuDeviceGetName(char* name, int length, int device) {
    DEVICE;
    CHECK(length > 0, INVALID_VALUE);
    snprintf(name, (size_t)length, "Fake GPU %d", device);
    return SUCCESS;
}

API Result cuDeviceGetAttribute(int* value, int attribute, int device) {
    DEVICE;
    const char* capability = getenv("FAKE_CUDA_CAPABILITY");
    int major = 9, minor = 0;
    if (capability) sscanf(capability, "%d.%d", &major, &minor);
    switch (attribute) {
        case 1: *value = 1024; break;  // threads of a block
        case 10: *value = 32; break;   // of a warp
        case 16: *value = 132; break;  // multiprocessors
        case 75: *value = major; break;
        case 76: *value = minor; break;
        default: *value = 0;
    }
    return SUCCESS;
}

API Result cuDeviceTotalMem_v2(size_t* bytes, int device) {
    DEVICE;
    *bytes = card_memory();
    return SUCCESS;
}

API Result cuDevicePrimaryCtxRetain(void** context, int device) {
    DEVICE;
    ++cards[device].users;
    *context = &cards[device];
    return SUCCESS;
}

API Result cuDevicePrimaryCtxRelease_v2(int device) {
    DEVICE;
    Card* card = &cards[device];
    CHECK(card->users, INVALID_CONTEXT);
    if (--card->users) return SUCCESS;
    run_all(card);
    for (Object* o = objects; o; o = o->next)
        if (o->card == card && o->kind) destroy(o);
    ++card->generation;
    card->error = SUCCESS;
    return SUCCESS;
}

API Result cuCtxSetCurrent(void* context) {
    READY;
    current.card = NULL;
    if (!context) return SUCCESS;
    for (int i = 0; i < count_cards(); ++i)
        if (context == &cards[i]) {
            CHECK(cards[i].users, CONTEXT_IS_DESTROYED);
            current.card = &cards[i];
            current.generation = cards[i].generation;
            return SUCCESS;
        }
    return INVALID_CONTEXT;
}

API Result cuCtxGetCurrent(void** context) {
    READY;
    *context = current.card;
    return SUCCESS;
}

// -- memory

static Result allocate(Kind kind, Card* card, void** address, size_t bytes) {
    SAFE;
    CHECK(bytes, INVALID_VALUE);
    if (kind == MEMORY) {
        CHECK(bytes <= card_memory() - card->held, OUT_OF_MEMORY);
        card->held += bytes;
    }
    Object* o = add(kind, card);
    o->bytes = bytes;
    o->begin = aligned_alloc(512, (bytes + 511) / 512 * 512);
    memset(o->begin, 0xff, bytes);  // no number
    *address = o->begin;
    return SUCCESS;
}

API Result cuMemAlloc_v2(void** address, size_t bytes) {
    HERE;
    return allocate(MEMORY, here, address, bytes);
}

API Result cuMemHostAlloc(void** address, size_t bytes, unsigned flags) {
    HERE;
    CHECK(flags < 8, INVALID_VALUE);
    return allocate(PINNED, here, address, bytes);
}

API Result cuMemFree_v2(void* address) {
    HERE;
    SAFE;
    Object* o = find_memory(MEMORY, here, address);
    CHECK(o && o->begin == address, INVALID_VALUE);
    run_all(here);
    CHECK(!here->error, here->error);
    destroy(o);
    return SUCCESS;
}

API Result cuMemFreeHost(void* address) {  // waits for nobody: copies that still need it fail
    HERE;
    SAFE;
    Object* o = find_memory(PINNED, here, address);
    CHECK(o && o->begin == address, INVALID_VALUE);
    destroy(o);
    return SUCCESS;
}

API Result cuMemGetInfo_v2(size_t* left, size_t* total) {
    HERE;
    *total = card_memory();
    *left = *total - here->held;
    return SUCCESS;
}

static Result copy(Card* here, char* to, char* from, size_t bytes, void* handle, bool to_device) {
    FIND(STREAM, stream, handle);
    if (!bytes) return SUCCESS;
    char *on_device = to_device ? to : from, *on_host = to_device ? from : to;
    Work work = {.kind = COPY, .to = to, .from = from, .bytes = bytes};
    work.device_memory = find_memory(MEMORY, here, on_device);
    work.host = find_memory(PINNED, here, on_host);
    CHECK(on_host && work.device_memory && !find_memory(MEMORY, here, on_host), INVALID_VALUE);
    CHECK(!reaches_beyond(work.device_memory, on_device, bytes), INVALID_VALUE);
    CHECK(!work.host || !reaches_beyond(work.host, on_host, bytes), INVALID_VALUE);
    return push(stream, work);  // late even for memory that is not pinned: the driver may, or may not
}

API Result cuMemcpyHtoDAsync_v2(void* to, void* from, size_t bytes, void* stream) {
    HERE;
    return copy(here, to, from, bytes, stream, true);
}

API Result cuMemcpyDtoHAsync_v2(void* to, void* from, size_t bytes, void* stream) {
    HERE;
    return copy(here, to, from, bytes, stream, false);
}

// -- streams and events

API Result cuStreamCreate(void** stream, unsigned flags) {
    HERE;
    CHECK(flags < 2, INVALID_VALUE);
    *stream = add(STREAM, here);
    return SUCCESS;
}

API Result cuStreamDestroy_v2(void* handle) {
    HERE;
    FIND(STREAM, stream, handle);
    run_to(stream, stream->handed);
    destroy(stream);
    return here->error;
}

API Result cuStreamSynchronize(void* handle) {
    HERE;
    FIND(STREAM, stream, handle);
    PASS(check_waitable(stream));
    run_to(stream, stream->handed);
    return here->error;
}

API Result cuEventCreate(void** event, unsigned flags) {
    HERE;
    CHECK(flags < 8, INVALID_VALUE);
    Object* o = add(EVENT, here);
    o->flags = flags;
    *event = o;
    return SUCCESS;
}

API Result cuEventRecord(void* event_handle, void* stream_handle) {
    HERE;
    FIND(EVENT, event, event_handle);
    FIND(STREAM, stream, stream_handle);
    PASS(push(stream, (Work){.kind = RECORD, .event = event}));
    event->stream = stream;
    event->position = stream->handed;
    event->in_capture = stream->capture;
    return SUCCESS;
}

API Result cuEventSynchronize(void* handle) {
    HERE;
    FIND(EVENT, event, handle);
    CHECK(!event->in_capture, CAPTURED_EVENT);
    if (event->stream) run_to(event->stream, event->position);
    return here->error;
}

API Result cuEventElapsedTime_v2(float* milliseconds, void* begin_handle, void* end_handle) {
    HERE;
    FIND(EVENT, begin, begin_handle);
    FIND(EVENT, end, end_handle);
    const Object* both[] = {begin, end};
    for (int i = 0; i < 2; ++i) {
        CHECK(both[i]->stream && !both[i]->in_capture && !(both[i]->flags & DISABLE_TIMING), INVALID_HANDLE);
        CHECK(both[i]->stream->done >= both[i]->position, NOT_READY);
    }
    *milliseconds = (float)(end->time - begin->time);
    return SUCCESS;
}

API Result cuEventDestroy_v2(void* handle) {
    HERE;
    FIND(EVENT, event, handle);
    destroy(event);
    return SUCCESS;
}

API Result cuStreamWaitEvent(void* stream_handle, void* event_handle, unsigned flags) {
    HERE;
    FIND(STREAM, stream, stream_handle);
    FIND(EVENT, event, event_handle);
    CHECK(flags < 2, INVALID_VALUE);
    if (!event->stream) return SUCCESS;
    CHECK(!event->in_capture, CAPTURE_UNSUPPORTED);  // it would capture this stream too: not done here
    if (stream->capture) {
        stream->capture = INVALIDATED;
        return CAPTURE_ISOLATION;
    }
    return push(stream, (Work){.kind = WAIT, .stream = event->stream, .position = event->position});
}

// -- modules and launches

API Result cuModuleLoadData(void** module, const char* path) {
    HERE;
    SAFE;
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CHECK(library, INVALID_IMAGE);
    Object* o = add(MODULE, here);
    o->library = library;
    *module = o;
    return SUCCESS;
}

API Result cuModuleGetFunction(void** function, void* handle, const char* name) {
    HERE;
    FIND(MODULE, module, handle);
    void* code = dlsym(module->library, name);
    CHECK(code, NOT_FOUND);
    Object* o = add(FUNCTION, here);
    o->module = module;
    o->code = (Kernel)code;
    *function = o;
    return SUCCESS;
}

API Result cuModuleUnload(void* handle) {
    HERE;
    SAFE;
    FIND(MODULE, module, handle);
    run_all(here);
    destroy(module);
    return here->error;
}

API Result cuLaunchKernel(
    void* function_handle, unsigned blocks, unsigned blocks_y, unsigned blocks_z, unsigned threads, unsigned threads_y,
    unsigned threads_z, unsigned shared_bytes, void* stream_handle, void** parameters, void** extra
) {
    HERE;
    FIND(FUNCTION, function, function_handle);
    FIND(STREAM, stream, stream_handle);
    CHECK(blocks && blocks < 1u << 31 && blocks_y == 1 && blocks_z == 1, INVALID_VALUE);
    CHECK(threads && threads <= 1024 && threads_y == 1 && threads_z == 1, INVALID_VALUE);
    CHECK(!shared_bytes && parameters && parameters[0] && !extra, INVALID_VALUE);
    Work work = {.kind = LAUNCH, .code = function->code, .blocks = blocks, .threads = threads};
    memcpy(work.step, parameters[0], STEP_BYTES);
    return push(stream, work);
}

API Result cuLaunchHostFunc(void* handle, void (*call)(void*), void* data) {
    HERE;
    FIND(STREAM, stream, handle);
    CHECK(call, INVALID_VALUE);
    return push(stream, (Work){.kind = CALL, .call = call, .data = data});
}

// -- graphs

API Result cuStreamBeginCapture_v2(void* handle, int mode) {
    HERE;
    FIND(STREAM, stream, handle);
    CHECK(mode >= 0 && mode < 3, INVALID_VALUE);
    CHECK(!stream->capture, ILLEGAL_STATE);
    stream->capture = CAPTURING;
    stream->mode = mode;
    stream->owner = pthread_self();
    return SUCCESS;
}

API Result cuStreamEndCapture(void* handle, void** graph) {
    HERE;
    FIND(STREAM, stream, handle);
    *graph = NULL;
    CHECK(stream->capture, ILLEGAL_STATE);
    CHECK(stream->mode > THREAD_LOCAL || pthread_equal(stream->owner, pthread_self()), CAPTURE_WRONG_THREAD);
    const bool whole = stream->capture == CAPTURING;
    stream->capture = NONE;
    if (whole) {
        Object* o = add(GRAPH, here);
        o->work = stream->captured;
        *graph = o;
        stream->captured = (List){NULL, NULL};
    } else {
        clear(&stream->captured);
    }
    return whole ? SUCCESS : CAPTURE_INVALIDATED;
}

static void copy_work(const List* from, List* to) {
    for (const Work* w = from->first; w; w = w->next) {
        Work* made = malloc(sizeof(Work));
        *made = *w;
        append(to, made);
    }
}

API Result cuGraphInstantiateWithFlags(void** exec, void* handle, unsigned long long flags) {
    HERE;
    FIND(GRAPH, graph, handle);
    CHECK(!flags, INVALID_VALUE);
    Object* o = add(EXEC, here);
    copy_work(&graph->work, &o->work);
    *exec = o;
    return SUCCESS;
}

API Result cuGraphLaunch(void* exec_handle, void* stream_handle) {
    HERE;
    FIND(EXEC, exec, exec_handle);
    FIND(STREAM, stream, stream_handle);
    for (const Work* w = exec->work.first; w; w = w->next) PASS(push(stream, *w));
    return SUCCESS;
}

API Result cuGraphDestroy(void* handle) {
    HERE;
    FIND(GRAPH, graph, handle);
    destroy(graph);
    return SUCCESS;
}

API Result cuGraphExecDestroy(void* handle) {
    HERE;
    FIND(EXEC, exec, handle);
    destroy(exec);
    return SUCCESS;
}

// -- functions by name

static Result not_here(void) { return NOT_SUPPORTED; }

API Result cuGetProcAddress_v2(const char* symbol, void** function, int version, uint64_t flags, int* status) {
    (void)version, (void)flags;
    static const char* const names[] = {"%s_v2", "%s", "%sWithFlags"};
    static void* self;
    if (!self) {
        Dl_info info;
        dladdr((void*)cuInit, &info);
        self = dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD);
    }
    *function = NULL;
    for (int i = 0; i < 3 && !*function; ++i) {
        char name[128];
        snprintf(name, sizeof(name), names[i], symbol);
        *function = dlsym(self, name);
    }
    if (!*function) *function = (void*)not_here;
    if (status) *status = 0;
    return SUCCESS;
}

// -- what cuDNN wants to find by its name

#define ABSENT(name) API Result name(void) { return NOT_SUPPORTED; }
ABSENT(cuCtxGetLimit) ABSENT(cuCtxPopCurrent) ABSENT(cuCtxPushCurrent) ABSENT(cuGetErrorName) ABSENT(cuGetErrorString)
ABSENT(cuKernelGetAttribute) ABSENT(cuKernelSetAttribute) ABSENT(cuLaunchCooperativeKernel) ABSENT(cuLaunchKernelEx)
ABSENT(cuLibraryGetKernel) ABSENT(cuLibraryLoadData) ABSENT(cuLibraryLoadFromFile) ABSENT(cuLibraryUnload)
ABSENT(cuLinkAddData) ABSENT(cuLinkComplete) ABSENT(cuLinkCreate) ABSENT(cuLinkDestroy)
ABSENT(cuOccupancyMaxPotentialClusterSize) ABSENT(cuStreamGetCtx)
