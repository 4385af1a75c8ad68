// first FILE.drift: as first.c, with the memory of C++.
#include <driftlet.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

void check(driftlet_status status) {
    if (status != DRIFTLET_STATUS_OK) throw std::runtime_error(driftlet_status_text(status));
}

void run(const std::string &path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) check(DRIFTLET_STATUS_CANNOT_READ);
    const std::vector<char> content(std::istreambuf_iterator<char>(in), {});
    const auto *file = reinterpret_cast<const std::uint8_t *>(content.data());

    driftlet_model model;
    check(driftlet_open(&model, file, content.size()));
    check(driftlet_verify_weights(&model));
    driftlet_about about;
    check(driftlet_about_model(&model, &about));

    std::vector<std::uint8_t> arena(about.arena_len + 15);
    driftlet_request request{};
    request.seed = 7;
    request.class_index = about.classes != 0 ? 7 % about.classes : 0;
    request.guidance = about.guidance_min;
    const std::uint8_t *pixels = nullptr;
    check(driftlet_generate(&model, arena.data(), arena.size(), &request, &pixels));

    const bool colour = about.channels == 3;
    const std::string name = colour ? "first.ppm" : "first.pgm";
    std::ofstream out(name, std::ios::binary);
    out << (colour ? "P6\n" : "P5\n") << about.width << ' ' << about.height << "\n255\n";
    const auto size = static_cast<std::streamsize>(about.width) * about.height * about.channels;
    out.write(reinterpret_cast<const char *>(pixels), size);
    if (!out) throw std::runtime_error(name + " cannot be written");
    std::cout << name << ": " << about.width << " x " << about.height << '\n';
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 2) {
        std::cerr << "usage: first FILE.drift\n";
        return 2;
    }
    try {
        run(argv[1]);
        return EXIT_SUCCESS;
    } catch (const std::exception &problem) {
        std::cerr << argv[1] << ": " << problem.what() << '\n';
        return EXIT_FAILURE;
    }
}
