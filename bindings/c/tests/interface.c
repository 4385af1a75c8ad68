/*
 * interface FILE.drift [bands]: writes the pixels of ten pictures (seeds 70 to 79, classes 0 to 9, guidance 1.5) to the standard
 * output, and checks what must not work; with `bands` of a model that keeps no whole picture. Ends with the line of the first
 * check that fails.
 */
#include <driftlet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(right)                                                       \
    do {                                                                   \
        if (!(right)) {                                                    \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #right);    \
            exit(EXIT_FAILURE);                                            \
        }                                                                  \
    } while (0)

static driftlet_model model;
static driftlet_about about;
static uint8_t *expected;

static size_t image_len(void) { return (size_t)about.width * about.height * about.channels; }

static driftlet_request request(unsigned i) {
    driftlet_request made = {0};
    made.seed = 70 + i;
    made.class_index = i;
    made.guidance = DRIFTLET_ONE + DRIFTLET_ONE / 2;
    return made;
}

struct rows {
    uint8_t *picture;
    uint32_t next;
};

static void take(void *context, uint32_t row, const uint8_t *pixels) {
    struct rows *rows = context;
    size_t len = (size_t)about.width * about.channels;
    CHECK(row == rows->next && row < about.height);
    memcpy(rows->picture + row * len, pixels, len);
    rows->next++;
}

/* The ten pictures row by row, in an arena of just the length that the model asks. */
static void ten_by_lines(uint8_t *out) {
    uint8_t *arena = malloc(about.arena_len);
    CHECK(arena != NULL && (uintptr_t)arena % 16 == 0);
    for (unsigned i = 0; i < 10; i++) {
        driftlet_request wanted = request(i);
        struct rows rows = {out + i * image_len(), 0};
        CHECK(driftlet_generate_lines(&model, arena, about.arena_len, &wanted, take, &rows) == DRIFTLET_STATUS_OK);
        CHECK(rows.next == about.height);
    }
    driftlet_request wanted = request(0);
    struct rows none = {NULL, 0};
    CHECK(driftlet_generate_lines(&model, arena, about.arena_len, &wanted, NULL, &none) == DRIFTLET_STATUS_NULL_POINTER);
    CHECK(driftlet_generate_lines(NULL, arena, about.arena_len, &wanted, take, &none) == DRIFTLET_STATUS_NULL_POINTER);
    CHECK(driftlet_generate_lines(&model, NULL, about.arena_len, &wanted, take, &none) == DRIFTLET_STATUS_NULL_POINTER);
    CHECK(driftlet_generate_lines(&model, arena, about.arena_len, NULL, take, &none) == DRIFTLET_STATUS_NULL_POINTER);
    CHECK(driftlet_generate_lines(&model, arena, about.arena_len - 1, &wanted, take, &none) ==
          DRIFTLET_STATUS_ARENA_TOO_SMALL);
    wanted.class_index = 10;
    CHECK(driftlet_generate_lines(&model, arena, about.arena_len, &wanted, take, &none) == DRIFTLET_STATUS_NO_SUCH_CLASS);
    CHECK(none.next == 0);
    free(arena);
}

static void *ten(void *out) {
    uint8_t *arena = malloc(about.arena_len + 15);
    CHECK(arena != NULL);
    for (unsigned i = 0; i < 10; i++) {
        driftlet_request wanted = request(i);
        const uint8_t *pixels = NULL;
        CHECK(driftlet_generate(&model, arena, about.arena_len + 15, &wanted, &pixels) == DRIFTLET_STATUS_OK);
        CHECK(pixels >= arena && pixels + image_len() <= arena + about.arena_len + 15);
        memcpy((uint8_t *)out + i * image_len(), pixels, image_len());
    }
    free(arena);
    return NULL;
}

static void *compared(void *unused) {
    uint8_t *own = malloc(10 * image_len());
    CHECK(own != NULL);
    ten(own);
    CHECK(memcmp(own, expected, 10 * image_len()) == 0);
    free(own);
    return unused;
}

static driftlet_status with(driftlet_request wanted, size_t arena_len) {
    uint8_t *arena = malloc(about.arena_len + 15);
    const uint8_t *pixels;
    CHECK(arena != NULL);
    driftlet_status status = driftlet_generate(&model, arena, arena_len, &wanted, &pixels);
    free(arena);
    return status;
}

static void refusals(const uint8_t *file, size_t len) {
    size_t room = about.arena_len + 15;
    driftlet_request wanted = request(0);
    wanted.class_index = 10;
    CHECK(with(wanted, room) == DRIFTLET_STATUS_NO_SUCH_CLASS);
    wanted = request(0);
    wanted.guidance = about.guidance_max + 1;
    CHECK(with(wanted, room) == DRIFTLET_STATUS_GUIDANCE_OUT_OF_RANGE);
    wanted = request(0);
    wanted.position = DRIFTLET_ONE + 1;
    CHECK(with(wanted, room) == DRIFTLET_STATUS_POSITION_OUT_OF_RANGE);
    CHECK(with(request(0), about.arena_len - 1) == DRIFTLET_STATUS_ARENA_TOO_SMALL);
    CHECK(with(request(0), 0) == DRIFTLET_STATUS_ARENA_TOO_SMALL);

    const uint8_t *pixels;
    uint8_t one;
    wanted = request(0);
    CHECK(driftlet_generate(NULL, &one, 1, &wanted, &pixels) == DRIFTLET_STATUS_NULL_POINTER);
    CHECK(driftlet_generate(&model, NULL, 1, &wanted, &pixels) == DRIFTLET_STATUS_NULL_POINTER);
    CHECK(driftlet_generate(&model, &one, 1, NULL, &pixels) == DRIFTLET_STATUS_NULL_POINTER);
    CHECK(driftlet_generate(&model, &one, 1, &wanted, NULL) == DRIFTLET_STATUS_NULL_POINTER);
    CHECK(driftlet_open(NULL, file, len) == DRIFTLET_STATUS_NULL_POINTER);
    CHECK(driftlet_about_model(&model, NULL) == DRIFTLET_STATUS_NULL_POINTER);
    CHECK(driftlet_metadata(&model, NULL) == NULL);

    driftlet_model other;
    uint8_t *copy = malloc(len + 1);
    CHECK(copy != NULL);
    memcpy(copy, file, len);
    CHECK(driftlet_open(&other, copy, len / 2) == DRIFTLET_STATUS_DAMAGED);
    CHECK(driftlet_open(&other, copy, 0) == DRIFTLET_STATUS_NOT_DRIFT);
    char why[256], little[8];
    size_t whole = driftlet_explain(copy, len / 2, why, sizeof why);
    CHECK(whole == strlen(why) && strstr(why, "torn") != NULL);
    CHECK(driftlet_explain(copy, len / 2, little, sizeof little) == whole && strlen(little) == 7);
    CHECK(driftlet_explain(copy, len, why, sizeof why) == 0 && why[0] == '\0');
    CHECK(driftlet_explain(copy, len / 2, why, 0) == whole);
    copy[len - 1] ^= 1;
    CHECK(driftlet_open(&other, copy, len) == DRIFTLET_STATUS_OK);
    CHECK(driftlet_verify_weights(&other) == DRIFTLET_STATUS_DAMAGED);
    copy[0] ^= 1;
    CHECK(driftlet_open(&other, copy, len) == DRIFTLET_STATUS_NOT_DRIFT);
    memcpy(copy + 1, file, len);
    CHECK(driftlet_open(&other, copy + 1, len) == DRIFTLET_STATUS_MISALIGNED);
    free(copy);

    driftlet_mapping absent;
    CHECK(driftlet_map(&absent, "no such file") == DRIFTLET_STATUS_CANNOT_READ);
    driftlet_unmap(NULL);
    CHECK(strcmp(driftlet_status_text(DRIFTLET_STATUS_OK), "done") == 0);
    CHECK(strcmp(driftlet_status_text(4711), "unknown status") == 0);
}

static void way(void) {
    driftlet_request start = request(0), end = request(0), between = request(0);
    uint8_t *arena = malloc(about.arena_len + 15);
    const uint8_t *pixels;
    CHECK(arena != NULL);
    end.seed = 99;
    between.towards = 99;
    between.position = DRIFTLET_ONE;
    uint8_t *kept = malloc(image_len());
    CHECK(kept != NULL);
    CHECK(driftlet_generate(&model, arena, about.arena_len + 15, &end, &pixels) == DRIFTLET_STATUS_OK);
    memcpy(kept, pixels, image_len());
    CHECK(driftlet_generate(&model, arena, about.arena_len + 15, &between, &pixels) == DRIFTLET_STATUS_OK);
    CHECK(memcmp(kept, pixels, image_len()) == 0);
    between.position = DRIFTLET_ONE / 2;
    CHECK(driftlet_generate(&model, arena, about.arena_len + 15, &between, &pixels) == DRIFTLET_STATUS_OK);
    CHECK(memcmp(kept, pixels, image_len()) != 0);
    CHECK(driftlet_generate(&model, arena, about.arena_len + 15, &start, &pixels) == DRIFTLET_STATUS_OK);
    CHECK(memcmp(kept, pixels, image_len()) != 0);
    free(kept);
    free(arena);
}

int main(int argc, char **argv) {
    CHECK(argc == 2 || (argc == 3 && strcmp(argv[2], "bands") == 0));
    CHECK(driftlet_abi_version() == DRIFTLET_ABI_VERSION);
    driftlet_mapping mapping;
    CHECK(driftlet_map(&mapping, argv[1]) == DRIFTLET_STATUS_OK);
    size_t len, metadata_len;
    const uint8_t *file = driftlet_mapped(&mapping, &len);
    CHECK(file != NULL && driftlet_open(&model, file, len) == DRIFTLET_STATUS_OK);
    CHECK(driftlet_verify_weights(&model) == DRIFTLET_STATUS_OK);
    CHECK(driftlet_about_model(&model, &about) == DRIFTLET_STATUS_OK && about.classes == 10);
    const uint8_t *metadata = driftlet_metadata(&model, &metadata_len);
    CHECK(metadata > file && metadata + metadata_len < file + len && metadata[0] == '{');

    expected = malloc(10 * image_len());
    CHECK(expected != NULL);
    ten_by_lines(expected);
    if (argc == 3) {
        CHECK(with(request(0), about.arena_len + 15) == DRIFTLET_STATUS_MAKES_LINES);
        CHECK(fwrite(expected, image_len(), 10, stdout) == 10 && fflush(stdout) == 0);
        free(expected);
        driftlet_unmap(&mapping);
        return EXIT_SUCCESS;
    }
    CHECK(compared(NULL) == NULL);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, compared, NULL) == 0);
    for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    way();
    refusals(file, len);
    CHECK(fwrite(expected, image_len(), 10, stdout) == 10 && fflush(stdout) == 0);
    free(expected);
    driftlet_unmap(&mapping);
    return EXIT_SUCCESS;
}
