/*
 * A picture of each class on a Cortex-M4, in C: the model in flash, the arena a static, no heap, no C library. Sends the pixels to
 * the debugger's host (Arm semihosting).
 */
#define DRIFTLET_FREESTANDING
#include <driftlet.h>

#ifndef ARENA_LEN
#error "ARENA_LEN: what `driftlet inspect` prints as arena"
#endif

extern const uint8_t model_file[];
extern const uint8_t model_file_end[];

static uint8_t arena[ARENA_LEN] __attribute__((aligned(16)));

static intptr_t semihost(intptr_t operation, const void *block) {
    register intptr_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

enum { SYS_OPEN = 0x01, SYS_WRITE = 0x05, SYS_EXIT_EXTENDED = 0x20, WRITE_BINARY = 5, APPLICATION_EXIT = 0x20026 };

static int send_pictures(intptr_t out) {
    driftlet_model model;
    driftlet_status status = driftlet_open(&model, model_file, (size_t)(model_file_end - model_file));
    if (status != DRIFTLET_STATUS_OK) return status;
    driftlet_about about;
    driftlet_about_model(&model, &about);
    uint32_t classes = about.classes != 0 ? about.classes : 1;
    for (uint32_t i = 0; i < classes; i++) {
        driftlet_request request = {.seed = 100 + i, .class_index = i, .guidance = about.guidance_min};
        const uint8_t *pixels;
        status = driftlet_generate(&model, arena, sizeof arena, &request, &pixels);
        if (status != DRIFTLET_STATUS_OK) return status;
        const uintptr_t block[] = {(uintptr_t)out, (uintptr_t)pixels, (uintptr_t)about.height * about.width * about.channels};
        if (semihost(SYS_WRITE, block) != 0) return DRIFTLET_STATUS_CANNOT_READ;
    }
    return DRIFTLET_STATUS_OK;
}

void start(void) {
    static const char console[] = ":tt";
    const uintptr_t open[] = {(uintptr_t)console, WRITE_BINARY, sizeof console - 1};
    const uintptr_t end[] = {APPLICATION_EXIT, (uintptr_t)send_pictures(semihost(SYS_OPEN, open))};
    semihost(SYS_EXIT_EXTENDED, end);
    for (;;) {
    }
}
