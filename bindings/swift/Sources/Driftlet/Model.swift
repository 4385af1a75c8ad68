import CDriftlet
import Foundation

/// A generator of pictures, from a `.drift` file. The pictures of an int8 model are the same bytes on every device.
///
/// A model makes one picture at a time; tasks that share it wait for each other. Making one takes milliseconds.
public actor Model {
    /// Names of the classes; their numbers where the file tells none. Empty if the model takes no class.
    public nonisolated let classNames: [String]
    /// Weakest and strongest guidance.
    public nonisolated let guidance: ClosedRange<Double>
    /// Rows, columns and channels of a picture.
    public nonisolated let height: Int, width: Int, channels: Int

    private let file: AlignedMemory
    private let arena: AlignedMemory
    private var model: driftlet_model

    /// Proves the bytes of a file, and keeps a copy.
    public init(file content: Data) throws {
        let file = AlignedMemory(copying: content)
        var model = driftlet_model()
        let status = driftlet_open(&model, file.bytes, content.count)
        guard status == DRIFTLET_STATUS_OK else {
            var why = [CChar](repeating: 0, count: 256)
            driftlet_explain(file.bytes, content.count, &why, why.count)
            throw why[0] == 0 ? DriftletError(status) : DriftletError(message: String(cString: why))
        }
        try check(driftlet_verify_weights(&model))
        var about = driftlet_about()
        try check(driftlet_about_model(&model, &about))
        self.file = file
        self.model = model
        arena = AlignedMemory(count: about.arena_len)
        (height, width, channels) = (Int(about.height), Int(about.width), Int(about.channels))
        let one = Double(DRIFTLET_ONE)
        guidance = Double(about.guidance_min) / one...Double(about.guidance_max) / one
        classNames = Self.names(of: &model, count: Int(about.classes))
    }

    /// Reads and proves a file.
    public init(contentsOf url: URL) throws {
        try self.init(file: Data(contentsOf: url))
    }

    /// Makes the picture of a seed; on the way to another seed if `towards` names it and how much of the way, from 0 to 1.
    public func generate(
        seed: UInt64, class label: Int = 0, guidance strength: Double? = nil, towards: (seed: UInt64, position: Double)? = nil
    ) throws -> Picture {
        let strength = strength ?? guidance.lowerBound
        guard guidance.contains(strength) else { throw DriftletError(DRIFTLET_STATUS_GUIDANCE_OUT_OF_RANGE) }
        let position = towards?.position ?? 0
        guard (0...1).contains(position) else { throw DriftletError(DRIFTLET_STATUS_POSITION_OUT_OF_RANGE) }
        guard let number = UInt32(exactly: label) else { throw DriftletError(DRIFTLET_STATUS_NO_SUCH_CLASS) }
        let one = Double(DRIFTLET_ONE)
        var request = driftlet_request(
            seed: seed, towards: towards?.seed ?? 0, position: UInt32(position * one), class_index: number,
            guidance: UInt32((strength * one).rounded()))
        var pixels: UnsafePointer<UInt8>?
        try check(driftlet_generate(&model, arena.bytes, arena.count, &request, &pixels))
        let count = height * width * channels
        return Picture(
            width: width, height: height, channels: channels,
            pixels: Array(UnsafeBufferPointer(start: pixels, count: count)))
    }

    /// The number of a class.
    public nonisolated func number(ofClass name: String) throws -> Int {
        guard let number = classNames.firstIndex(of: name) else {
            throw DriftletError(message: "no class \"\(name)\"; there are: \(classNames.joined(separator: ", "))")
        }
        return number
    }

    private static func names(of model: inout driftlet_model, count: Int) -> [String] {
        var length = 0
        let start = driftlet_metadata(&model, &length)
        let json = Data(UnsafeBufferPointer(start: start, count: length))
        let notes = (try? JSONSerialization.jsonObject(with: json)) as? [String: Any]
        let names = notes?["class_names"] as? [String] ?? []
        return (0..<count).map { $0 < names.count ? names[$0] : String($0) }
    }
}

/// What went wrong, and what to do.
public struct DriftletError: LocalizedError {
    public let message: String

    public var errorDescription: String? { message }

    init(message: String) {
        self.message = message
    }

    init(_ status: driftlet_status) {
        message = String(cString: driftlet_status_text(status.rawValue))
    }
}

private func check(_ status: driftlet_status) throws {
    guard status == DRIFTLET_STATUS_OK else { throw DriftletError(status) }
}

/// Memory from an address that is a multiple of 64.
private final class AlignedMemory {
    let bytes: UnsafeMutablePointer<UInt8>
    let count: Int

    init(count: Int) {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1), alignment: 64)
        bytes = memory.initializeMemory(as: UInt8.self, repeating: 0, count: count)
        self.count = count
    }

    convenience init(copying content: Data) {
        self.init(count: content.count)
        content.copyBytes(to: bytes, count: content.count)
    }

    deinit {
        UnsafeMutableRawPointer(bytes).deallocate()
    }
}
