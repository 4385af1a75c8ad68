import dev.driftlet.Model;
import dev.driftlet.Picture;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;

/**
 * {@code ModelTest FILE.drift HASH...}: ten pictures against the hashes of the command line, and what must not work. Ends with 1 and
 * a text if something is not as it must be.
 */
final class ModelTest {
    public static void main(String[] arguments) throws Exception {
        Path path = Path.of(arguments[0]);
        List<String> expected = Arrays.asList(arguments).subList(1, arguments.length);
        check(expected.size() == 10, "give ten hashes");
        try (Model model = Model.open(path)) {
            check(sha256(model, 70, 10).equals(expected), "pictures differ from those of the command line");
            check(model.classNames().size() == 10 && model.classNumber("bag") == 8, "names of classes");
            check(model.minGuidance() == 1 && model.maxGuidance() == 4, "guidance");
            check(model.fileBytes() == Files.size(path) && model.arenaBytes() > 0, "sizes");
            ways(model);
            refusals(model, path);
            threads(model, expected);
        }
        System.out.println(path.getFileName() + ": equal");
    }

    private static List<String> sha256(Model model, int seed, int count) throws Exception {
        List<String> hashes = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            byte[] pixels = model.generate(seed + i, i, 1.5f).pixels();
            hashes.add(HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(pixels)));
        }
        return hashes;
    }

    private static void ways(Model model) {
        Picture start = model.generate(1, "dress", 1), end = model.generate(-1, "dress", 1);
        check(Arrays.equals(model.between(1, -1, 0, 3, 1).pixels(), start.pixels()), "start of a way");
        check(Arrays.equals(model.between(1, -1, 1, 3, 1).pixels(), end.pixels()), "end of a way");
        int grey = start.pixels()[400] & 0xff;
        check(start.argb()[400] == (0xff << 24 | grey << 16 | grey << 8 | grey), "colours");
    }

    private static void refusals(Model model, Path path) throws Exception {
        fails("classes 0 to 9", () -> model.generate(0, 10, 1));
        fails("classes 0 to 9", () -> model.generate(0, -1, 1));
        fails("no class \"boat\"", () -> model.generate(0, "boat", 1));
        fails("1 to 4", () -> model.generate(0, 0, 9));
        fails("1 to 4", () -> model.generate(0, 0, Float.NaN));
        fails("0 to 1", () -> model.between(0, 1, 1.5f, 0, 1));
        fails("0 to 1", () -> model.between(0, 1, Float.NaN, 0, 1));
        byte[] file = Files.readAllBytes(path);
        fails("bytes", () -> new Model(Arrays.copyOf(file, 1000)));
        file[file.length - 1] ^= 1;
        fails("weights are damaged", () -> new Model(file));
        Model closed = Model.open(path);
        closed.close();
        closed.close();
        fails("closed", () -> closed.generate(0, 0, 1));
    }

    /** Several threads share a model, and get the same pictures. */
    private static void threads(Model model, List<String> expected) throws Exception {
        List<String> problems = new ArrayList<>();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            Thread thread = new Thread(() -> {
                try {
                    check(sha256(model, 70, 10).equals(expected), "pictures differ between threads");
                } catch (Exception problem) {
                    synchronized (problems) {
                        problems.add(String.valueOf(problem));
                    }
                }
            });
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) thread.join();
        check(problems.isEmpty(), problems.toString());
    }

    private interface Action {
        void run() throws Exception;
    }

    private static void fails(String text, Action action) {
        try {
            action.run();
        } catch (Exception problem) {
            check(String.valueOf(problem.getMessage()).contains(text), problem + " does not tell: " + text);
            return;
        }
        throw new IllegalStateException("nothing was refused, but should have been: " + text);
    }

    private static void check(boolean right, String text) {
        if (!right) throw new IllegalStateException(text);
    }
}
