/*
 * lines FILE.drift: sends a picture row by row to the standard output, as PGM or PPM, for models of which the working memory holds
 * no whole picture (driftlet quantize --ram-limit). A display takes rows in place of the output.
 */
#include <driftlet.h>
#include <stdio.h>
#include <stdlib.h>

static driftlet_about about;

static void send(void *display, uint32_t row, const uint8_t *pixels) {
    (void)row; /* They come in order. */
    fwrite(pixels, about.channels, about.width, display);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: lines FILE.drift > picture.pgm\n");
        return 2;
    }
    driftlet_mapping mapping;
    driftlet_status status = driftlet_map(&mapping, argv[1]);
    if (status == DRIFTLET_STATUS_OK) {
        size_t len;
        const uint8_t *file = driftlet_mapped(&mapping, &len);
        driftlet_model model;
        status = driftlet_open(&model, file, len);
        if (status == DRIFTLET_STATUS_OK) {
            driftlet_about_model(&model, &about);
            driftlet_request request = {.seed = 7, .guidance = about.guidance_min};
            request.class_index = about.classes != 0 ? 7 % about.classes : 0;
            uint8_t *arena = malloc(about.arena_len + 15);
            printf("P%d\n%u %u\n255\n", about.channels == 3 ? 6 : 5, about.width, about.height);
            status = arena == NULL
                         ? DRIFTLET_STATUS_ARENA_TOO_SMALL
                         : driftlet_generate_lines(&model, arena, about.arena_len + 15, &request, send, stdout);
            fprintf(stderr, "working memory: %zu bytes\n", about.arena_len);
            free(arena);
        }
        driftlet_unmap(&mapping);
    }
    if (status != DRIFTLET_STATUS_OK) {
        fprintf(stderr, "%s: %s\n", argv[1], driftlet_status_text(status));
        return EXIT_FAILURE;
    }
    return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}
