/* first FILE.drift: the first picture, as first.pgm or first.ppm. */
#include <driftlet.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(const char *what, driftlet_status status) {
    fprintf(stderr, "%s: %s\n", what, driftlet_status_text(status));
    return EXIT_FAILURE;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: first FILE.drift\n");
        return 2;
    }
    if (driftlet_abi_version() != DRIFTLET_ABI_VERSION) {
        fprintf(stderr, "first: built for another version of the library\n");
        return EXIT_FAILURE;
    }
    driftlet_mapping mapping;
    driftlet_status status = driftlet_map(&mapping, argv[1]);
    if (status != DRIFTLET_STATUS_OK) return fail(argv[1], status);

    size_t len;
    const uint8_t *file = driftlet_mapped(&mapping, &len);
    driftlet_model model;
    status = driftlet_open(&model, file, len);
    if (status != DRIFTLET_STATUS_OK) {
        char why[256];
        driftlet_explain(file, len, why, sizeof why);
        fprintf(stderr, "%s: %s\n", argv[1], why[0] != '\0' ? why : driftlet_status_text(status));
        driftlet_unmap(&mapping);
        return EXIT_FAILURE;
    }

    driftlet_about about;
    driftlet_about_model(&model, &about);
    size_t arena_len = about.arena_len + 15;
    uint8_t *arena = malloc(arena_len);
    driftlet_request request = {
        .seed = 7,
        .class_index = about.classes != 0 ? 7 % about.classes : 0,
        .guidance = about.guidance_min,
    };
    const uint8_t *pixels;
    status = arena == NULL ? DRIFTLET_STATUS_ARENA_TOO_SMALL
                           : driftlet_generate(&model, arena, arena_len, &request, &pixels);
    if (status == DRIFTLET_STATUS_OK) {
        const char *name = about.channels == 3 ? "first.ppm" : "first.pgm";
        FILE *out = fopen(name, "wb");
        if (out != NULL) {
            fprintf(out, "P%d\n%u %u\n255\n", about.channels == 3 ? 6 : 5, about.width, about.height);
            fwrite(pixels, about.channels, (size_t)about.width * about.height, out);
            fclose(out);
            printf("%s: %u x %u\n", name, about.width, about.height);
        } else {
            perror(name);
            status = DRIFTLET_STATUS_CANNOT_READ;
        }
    } else {
        fail(argv[1], status);
    }
    free(arena);
    driftlet_unmap(&mapping);
    return status == DRIFTLET_STATUS_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
