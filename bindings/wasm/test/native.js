// What the command line makes of the same files: models, and the hashes of their pictures.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const driftlet = process.env.DRIFTLET ?? join(root, "target/release/driftlet");
export const SHIPPED = ["nano", "micro", "small"];

/** Calls `use(path of a .drift file)` with a shipped model in int8. */
export async function withModel(name, use) {
  const folder = mkdtempSync(join(tmpdir(), "driftlet-"));
  try {
    const path = join(folder, `${name}.drift`);
    execFileSync(driftlet, ["quantize", join(root, `models/fashion-${name}`), "--precision", "int8", "--out", path], {
      stdio: "pipe",
    });
    await use(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** SHA-256 of the pictures of seeds `seed`, `seed + 1`, ..., whose classes go through all in turn. */
export function nativeHashes(path, seed, count, guidance) {
  const options = ["--seed", seed, "--count", count, "--guidance", guidance, "--hash"].map(String);
  const lines = execFileSync(driftlet, ["sample", path, ...options], { encoding: "utf8", stdio: "pipe" }).split("\n");
  return lines.slice(0, count).map((line) => line.split(" ")[0]);
}
