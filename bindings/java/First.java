import dev.driftlet.Model;
import dev.driftlet.Picture;
import java.awt.image.BufferedImage;
import java.io.File;
import java.io.IOException;
import java.nio.file.Path;
import javax.imageio.ImageIO;

/** {@code First FILE.drift}: the first picture, as first.png. */
final class First {
    public static void main(String[] arguments) throws IOException {
        try (Model model = Model.open(Path.of(arguments[0]))) {
            Picture picture = model.generate(7, 7 % Math.max(model.classNames().size(), 1), model.minGuidance());
            int width = picture.width(), height = picture.height();
            BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
            image.setRGB(0, 0, width, height, picture.argb(), 0, width);
            ImageIO.write(image, "png", new File("first.png"));
            System.out.println("first.png: " + width + " x " + height + ", kernels " + model.kernels());
        }
    }
}
