/// A picture: 8-bit pixels, row by row.
public struct Picture: Sendable, Equatable {
    public let width: Int, height: Int, channels: Int
    /// `[height, width, channels]`, row by row.
    public let pixels: [UInt8]
}

#if canImport(CoreGraphics)
import CoreGraphics
import Foundation

extension Picture {
    /// For `UIImage(cgImage:)` or SwiftUI's `Image(decorative:scale:)`; nil of more channels than a colour has.
    public var cgImage: CGImage? {
        guard channels == 1 || channels == 3, let provider = CGDataProvider(data: Data(pixels) as CFData) else { return nil }
        let space = channels == 1 ? CGColorSpaceCreateDeviceGray() : CGColorSpaceCreateDeviceRGB()
        return CGImage(
            width: width, height: height, bitsPerComponent: 8, bitsPerPixel: 8 * channels, bytesPerRow: width * channels,
            space: space, bitmapInfo: CGBitmapInfo(rawValue: CGImageAlphaInfo.none.rawValue), provider: provider, decode: nil,
            shouldInterpolate: false, intent: .defaultIntent)
    }
}
#endif
