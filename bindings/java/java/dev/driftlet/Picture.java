package dev.driftlet;

/** A picture: 8-bit pixels, row by row. */
public final class Picture {
    private final int width, height, channels;
    private final byte[] pixels;

    Picture(int width, int height, int channels, byte[] pixels) {
        this.width = width;
        this.height = height;
        this.channels = channels;
        this.pixels = pixels;
    }

    public int width() {
        return width;
    }

    public int height() {
        return height;
    }

    public int channels() {
        return channels;
    }

    /** {@code [height, width, channels]}; Java's bytes are signed, {@code b & 0xff} is the pixel. */
    public byte[] pixels() {
        return pixels.clone();
    }

    /** As {@code 0xffRRGGBB}, row by row: for {@code Bitmap.createBitmap(argb, width, height, Bitmap.Config.ARGB_8888)}. */
    public int[] argb() {
        int[] argb = new int[width * height];
        for (int i = 0; i < argb.length; i++) {
            // One and two channels are grey, four carry more than a colour.
            int at = i * channels, step = channels < 3 ? 0 : 1;
            argb[i] = 0xff << 24 | (pixels[at] & 0xff) << 16 | (pixels[at + step] & 0xff) << 8 | pixels[at + 2 * step] & 0xff;
        }
        return argb;
    }
}
