import CryptoKit
import Foundation
import XCTest

@testable import Driftlet

/// `DRIFTLET_MODEL=FILE.drift DRIFTLET_HASHES="HASH .." swift test`: pictures of seeds 70 on, classes 0 on, guidance 1.5, against the
/// hashes of `driftlet sample FILE.drift --seed 70 --count 10 --guidance 1.5 --hash`.
final class ModelTests: XCTestCase {
    func testPicturesAreThoseOfTheCommandLine() async throws {
        let environment = ProcessInfo.processInfo.environment
        let path = try XCTUnwrap(environment["DRIFTLET_MODEL"], "DRIFTLET_MODEL names a file")
        let hashes = try XCTUnwrap(environment["DRIFTLET_HASHES"]).split(separator: " ").map(String.init)
        let model = try Model(contentsOf: URL(fileURLWithPath: path))
        for (index, expected) in hashes.enumerated() {
            let picture = try await model.generate(seed: 70 + UInt64(index), class: index, guidance: 1.5)
            let hash = SHA256.hash(data: Data(picture.pixels)).map { String(format: "%02x", $0) }.joined()
            XCTAssertEqual(hash, expected)
        }
    }

    func testDamagedFilesAreRefused() {
        XCTAssertThrowsError(try Model(file: Data("not a model".utf8)))
        XCTAssertThrowsError(try Model(file: Data()))
    }
}
