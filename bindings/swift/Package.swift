// swift-tools-version:5.9
import PackageDescription

let package = Package(
    name: "Driftlet",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [.library(name: "Driftlet", targets: ["Driftlet"])],
    targets: [
        // Made by `bindings/swift/framework` on a Mac: the static libraries of bindings/c, with header and module map.
        .binaryTarget(name: "CDriftlet", path: "build/CDriftlet.xcframework"),
        .target(name: "Driftlet", dependencies: ["CDriftlet"]),
        .testTarget(name: "DriftletTests", dependencies: ["Driftlet"]),
    ]
)
