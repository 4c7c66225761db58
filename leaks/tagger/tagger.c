/* An allocation tagger: every block on the heap carries the number of the job that allocated it.
 *
 *     LD_PRELOAD=./tagger.so program
 *
 * A header of 32 bytes before each block holds its size, its job and, if stacks are recorded, the stack that
 * allocated it and its position in a list of live blocks. For each job there are two counters, bytes and blocks that are
 * still alive, so that a program reads its survivors at any time, in nanoseconds and without allocating.
 *
 * What it cannot see: mmap called directly, and CPython's own small objects (they live in arenas from mmap).
 * Needs glibc (__libc_malloc and similar functions).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define JOBS (1u << 16)   /* distinct jobs; later ones share the last number */
#define STACKS (1u << 17) /* distinct stacks; beyond that a block has none (number 0) */
#define DEPTH 32          /* frames of a stack, innermost first */
#define OWN_FRAMES 2      /* frames of this file at the top of each stack */
#define MAGIC 0xb01d

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

struct header {
    struct header *next, *previous; /* live blocks of the recorded jobs; null for all others */
    uint64_t size : 48, magic : 16;
    uint64_t job : 16;
    uint64_t log2_shift : 6; /* the block starts 2^log2_shift bytes after the address from glibc */
    uint64_t stack : 17;
    uint64_t serial : 25;    /* which of the recorded blocks, in order of allocation */
};

#define SHIFT sizeof(struct header)
#define LOG2_SHIFT 5
_Static_assert(SHIFT == 1 << LOG2_SHIFT, "a header is 32 bytes, so that blocks keep glibc's alignment");

static _Atomic int64_t live_bytes[JOBS], live_blocks[JOBS];
static _Atomic uint32_t current_job;
static _Atomic uint32_t first_recorded = 1, last_recorded = 0;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list and the stacks */
static struct header live = {.next = &live, .previous = &live};
static struct stack { uint32_t depth; void *frames[DEPTH]; } stacks[STACKS];
static uint32_t stack_slots[2 * STACKS], stack_count = 1, serial;
static __thread int busy __attribute__((tls_model("initial-exec")));

static uint32_t intern(void **frames, uint32_t depth)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a over whole pointers */
    for (uint32_t i = 0; i < depth; i++)
        hash = (hash ^ (uintptr_t)frames[i]) * 1099511628211u;
    for (uint32_t slot = hash >> 40;; slot++) {
        uint32_t *number = &stack_slots[slot % (2 * STACKS)];
        struct stack *known = &stacks[*number];
        if (*number == 0) {
            if (stack_count == STACKS)
                return 0;
            *number = stack_count++;
            stacks[*number].depth = depth;
            memcpy(stacks[*number].frames, frames, depth * sizeof *frames);
            return *number;
        }
        if (known->depth == depth && !memcmp(known->frames, frames, depth * sizeof *frames))
            return *number;
    }
}

static __attribute__((noinline)) void record(struct header *block)
{
    void *frames[DEPTH + OWN_FRAMES];
    busy = 1; /* backtrace may allocate */
    int depth = backtrace(frames, DEPTH + OWN_FRAMES) - OWN_FRAMES;
    pthread_mutex_lock(&lock);
    block->stack = depth > 0 ? intern(frames + OWN_FRAMES, depth) : 0;
    block->serial = serial++;
    block->next = live.next;
    block->previous = &live;
    live.next->previous = block;
    live.next = block;
    pthread_mutex_unlock(&lock);
    busy = 0;
}

static inline __attribute__((always_inline)) void *tagged(void *base, size_t size, unsigned log2_shift)
{
    if (!base)
        return NULL;
    void *user = (char *)base + ((size_t)1 << log2_shift);
    struct header *block = (struct header *)user - 1;
    uint32_t job = atomic_load_explicit(&current_job, memory_order_relaxed);
    *block = (struct header){.size = size, .magic = MAGIC, .job = job, .log2_shift = log2_shift};
    atomic_fetch_add_explicit(&live_bytes[job], size, memory_order_relaxed);
    atomic_fetch_add_explicit(&live_blocks[job], 1, memory_order_relaxed);
    if (job >= first_recorded && job <= last_recorded && !busy)
        record(block);
    return user;
}

/* The header of a block of ours; null for one that was made before this library was loaded. */
static inline struct header *ours(void *user)
{
    struct header *block = (struct header *)user - 1;
    return block->magic == MAGIC && block->log2_shift >= LOG2_SHIFT ? block : NULL;
}

EXPORT void *malloc(size_t size)
{
    if (size > PTRDIFF_MAX - SHIFT) {
        errno = ENOMEM;
        return NULL;
    }
    return tagged(__libc_malloc(size + SHIFT), size, LOG2_SHIFT);
}

EXPORT void *calloc(size_t count, size_t each)
{
    size_t size;
    if (__builtin_mul_overflow(count, each, &size) || size > PTRDIFF_MAX - SHIFT) {
        errno = ENOMEM;
        return NULL;
    }
    return tagged(__libc_calloc(1, size + SHIFT), size, LOG2_SHIFT);
}

EXPORT void free(void *user)
{
    if (!user)
        return;
    struct header *block = ours(user);
    if (!block) {
        __libc_free(user);
        return;
    }
    atomic_fetch_sub_explicit(&live_bytes[block->job], block->size, memory_order_relaxed);
    atomic_fetch_sub_explicit(&live_blocks[block->job], 1, memory_order_relaxed);
    if (block->next) {
        pthread_mutex_lock(&lock);
        block->next->previous = block->previous;
        block->previous->next = block->next;
        pthread_mutex_unlock(&lock);
    }
    block->magic = 0;
    __libc_free((char *)user - ((size_t)1 << block->log2_shift));
}

EXPORT size_t malloc_usable_size(void *user)
{
    struct header *block = user ? ours(user) : NULL;
    return block ? block->size : 0;
}

/* A block that is resized is a new one: a buffer that grows job after job counts as allocated by each job. */
EXPORT void *realloc(void *user, size_t size)
{
    if (!user)
        return malloc(size);
    if (!size) {
        free(user);
        return NULL;
    }
    void *fresh = malloc(size);
    if (!fresh)
        return NULL;
    struct header *block = ours(user);
    size_t known = block ? block->size : size;
    memcpy(fresh, user, known < size ? known : size);
    free(user);
    return fresh;
}

EXPORT void *reallocarray(void *user, size_t count, size_t each)
{
    size_t size;
    if (__builtin_mul_overflow(count, each, &size)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(user, size);
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    unsigned log2_shift = LOG2_SHIFT;
    while (((size_t)1 << log2_shift) < alignment)
        log2_shift++;
    size_t shift = (size_t)1 << log2_shift;
    if (size > PTRDIFF_MAX - 2 * shift) {
        errno = ENOMEM;
        return NULL;
    }
    return tagged(__libc_memalign(shift, size + shift), size, log2_shift);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

EXPORT int posix_memalign(void **out, size_t alignment, size_t size)
{
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)))
        return EINVAL;
    void *block = memalign(alignment, size);
    if (!block)
        return ENOMEM;
    *out = block;
    return 0;
}

EXPORT void *valloc(size_t size) { return memalign(sysconf(_SC_PAGESIZE), size); }

/* What the program under observation calls (leaks/tagger/__init__.py). */

EXPORT void tagger_job(uint32_t job) { current_job = job < JOBS ? job : JOBS - 1; }
EXPORT int64_t tagger_bytes(uint32_t job) { return job < JOBS ? live_bytes[job] : 0; }
EXPORT int64_t tagger_blocks(uint32_t job) { return job < JOBS ? live_blocks[job] : 0; }

EXPORT int64_t tagger_total(uint32_t last)
{
    int64_t total = 0;
    for (uint32_t job = 0; job <= last && job < JOBS; job++)
        total += live_bytes[job];
    return total;
}

/* Record the stacks of blocks allocated in these jobs. */
EXPORT void tagger_record(uint32_t first, uint32_t last)
{
    first_recorded = first;
    last_recorded = last;
}

static int by_address(const void *a, const void *b)
{
    uintptr_t left = (uintptr_t)*(struct header *const *)a, right = (uintptr_t)*(struct header *const *)b;
    return (left > right) - (left < right);
}

/* The recorded block that `address` points into, or count. */
static size_t find(struct header **blocks, size_t count, uintptr_t address)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if ((uintptr_t)(blocks[middle] + 1) <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return count;
    uintptr_t start = (uintptr_t)(blocks[low - 1] + 1);
    return address - start < blocks[low - 1]->size || address == start ? low - 1 : count;
}

static void write_edges(FILE *out, struct header **blocks, size_t count, size_t from)
{
    uintptr_t *words = (uintptr_t *)(blocks[from] + 1);
    size_t last = count;
    for (size_t i = 0; i < blocks[from]->size / sizeof *words; i++) {
        size_t to = find(blocks, count, words[i]);
        if (to != count && to != from && to != last)
            fprintf(out, "E %zu %zu\n", from, last = to);
    }
}

static void write_stack(FILE *out, uint32_t number)
{
    for (uint32_t i = 0; i < stacks[number].depth; i++) {
        void *frame = stacks[number].frames[i];
        Dl_info info = {0};
        dladdr((char *)frame - 1, &info); /* the call, not what follows it */
        fprintf(out, "F %u\t%s\t%s\t%lx\n", number, info.dli_sname ? info.dli_sname : "",
                info.dli_fname ? info.dli_fname : "", (long)((char *)frame - (char *)info.dli_fbase));
    }
}

/* Write the recorded blocks that still live, which of them points to which, and their stacks, as lines of text:
 * B index serial job bytes stack, E from to, F stack symbol file offset. Returns their number, or -1 without the file. */
EXPORT int64_t tagger_dump(const char *path)
{
    FILE *out = fopen(path, "w");
    if (!out)
        return -1;
    busy = 1;
    pthread_mutex_lock(&lock);
    size_t count = 0;
    for (struct header *block = live.next; block != &live; block = block->next)
        count++;
    struct header **blocks = __libc_malloc((count + 1) * sizeof *blocks);
    char *named = __libc_calloc(STACKS, 1);
    if (blocks && named) {
        size_t i = 0;
        for (struct header *block = live.next; block != &live; block = block->next)
            blocks[i++] = block;
        qsort(blocks, count, sizeof *blocks, by_address);
        for (i = 0; i < count; i++) {
            fprintf(out, "B %zu %u %u %zu %u\n", i, (unsigned)blocks[i]->serial, (unsigned)blocks[i]->job,
                    (size_t)blocks[i]->size, (unsigned)blocks[i]->stack);
            write_edges(out, blocks, count, i);
            if (!named[blocks[i]->stack]) {
                named[blocks[i]->stack] = 1;
                write_stack(out, blocks[i]->stack);
            }
        }
    }
    __libc_free(blocks);
    __libc_free(named);
    pthread_mutex_unlock(&lock);
    busy = 0;
    return fclose(out) ? -1 : (int64_t)count;
}

static void before_fork(void) { pthread_mutex_lock(&lock); }
static void after_fork(void) { pthread_mutex_unlock(&lock); }

__attribute__((constructor)) static void start(void)
{
    void *frame;
    backtrace(&frame, 1); /* loads the unwinder now, not in the middle of an allocation */
    pthread_atfork(before_fork, after_fork, after_fork);
}
