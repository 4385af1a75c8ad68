package dev.driftlet;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * A generator of pictures, from a {@code .drift} file. The pictures of an int8 model are the same bytes on every device: file,
 * seed, class and guidance name them.
 *
 * <p>Safe to use from several threads; they make one picture at a time. Making one takes milliseconds, so keep it off a thread that
 * draws a user interface.
 */
public final class Model implements AutoCloseable {
    static {
        System.loadLibrary("driftlet_java");
    }

    private static final int HEIGHT = 0, WIDTH = 1, CHANNELS = 2, FILE = 3, ARENA = 4;

    private final long handle;
    private final int[] numbers;
    private final float[] guidance;
    private final List<String> classNames;

    /**
     * Proves the bytes of a file.
     *
     * @throws IllegalArgumentException that says what is wrong with them
     */
    public Model(byte[] file) {
        handle = open(file);
        numbers = numbers(handle);
        guidance = guidance(handle);
        classNames = Collections.unmodifiableList(Arrays.asList(classNames(handle)));
    }

    /** Reads a file and proves it. On Android, pass the bytes of an asset to the constructor instead. */
    public static Model open(Path path) throws IOException {
        byte[] file = Files.readAllBytes(path);
        try {
            return new Model(file);
        } catch (IllegalArgumentException error) {
            throw new IllegalArgumentException(path + ": " + error.getMessage());
        }
    }

    /**
     * Makes the picture of a seed.
     *
     * @param seed all 64 bits count, as of an unsigned number
     * @param label the class by number, 0 for a model without classes
     * @param guidance between {@link #minGuidance} and {@link #maxGuidance}
     * @throws IllegalArgumentException that says what cannot be met
     */
    public Picture generate(long seed, int label, float guidance) {
        return make(seed, 0, Float.NaN, label, guidance);
    }

    /** As {@link #generate(long, int, float)}, with the class by name. */
    public Picture generate(long seed, String label, float guidance) {
        return generate(seed, classNumber(label), guidance);
    }

    /** Makes the picture on the way from one seed to another; {@code position} from 0 to 1. */
    public Picture between(long from, long to, float position, int label, float guidance) {
        if (Float.isNaN(position)) throw new IllegalArgumentException("position NaN lies outside 0 to 1");
        return make(from, to, position, label, guidance);
    }

    private Picture make(long seed, long towards, float position, int label, float guidance) {
        byte[] pixels = new byte[height() * width() * channels()];
        generate(handle, seed, towards, position, label, guidance, pixels);
        return new Picture(width(), height(), channels(), pixels);
    }

    /** The number of a class. */
    public int classNumber(String label) {
        int index = classNames.indexOf(label);
        if (index >= 0) return index;
        String text = String.format(Locale.ROOT, "no class \"%s\"; there are: %s", label, String.join(", ", classNames));
        throw new IllegalArgumentException(text);
    }

    /** Names of the classes; empty if the model takes none. */
    public List<String> classNames() {
        return classNames;
    }

    public float minGuidance() {
        return guidance[0];
    }

    public float maxGuidance() {
        return guidance[1];
    }

    public int height() {
        return numbers[HEIGHT];
    }

    public int width() {
        return numbers[WIDTH];
    }

    public int channels() {
        return numbers[CHANNELS];
    }

    /** Length of the file. */
    public int fileBytes() {
        return numbers[FILE];
    }

    /** Bytes of working memory. */
    public int arenaBytes() {
        return numbers[ARENA];
    }

    /** What computes: "neon-dot", say. */
    public String kernels() {
        return kernels(handle);
    }

    /** Frees its memory; calls after it throw {@link IllegalStateException}. */
    @Override
    public void close() {
        close(handle);
    }

    private static native long open(byte[] file);

    private static native void close(long handle);

    private static native void generate(
            long handle, long seed, long towards, float position, int label, float guidance, byte[] out);

    private static native int[] numbers(long handle);

    private static native float[] guidance(long handle);

    private static native String[] classNames(long handle);

    private static native String kernels(long handle);
}
