/** What names a picture. The same file, seed, class and guidance give the same bytes everywhere if the model is int8. */
export interface Request {
  /** A whole number of 64 bits; 0 if left out. */
  seed?: number | bigint;
  /** Another seed: the picture is on the way to it. */
  towards?: number | bigint;
  /** How much of the way to `towards`, from 0 to 1; 0.5 if left out. */
  position?: number;
  /** The class by number or by name; 0 if left out. */
  class?: number | string;
  /** Strength of guidance within `Model.guidance`; the least if left out. */
  guidance?: number;
}

/** A picture: 8-bit pixels. */
export class Picture {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** `[height, width, channels]`, row by row. */
  readonly pixels: Uint8Array;
  /** What making it took, without the way to the worker and back. */
  readonly milliseconds: number;
  /** Red, green, blue, alpha, row by row. */
  toRGBA(): Uint8ClampedArray;
  /** For `CanvasRenderingContext2D.putImageData`; in browsers. */
  toImageData(): ImageData;
}

/** A loaded model, from `load`. */
export class Model {
  private constructor();
  /** The name that its maker gave it. */
  readonly name: string;
  /** Its numbers, "int8" say. */
  readonly precision: string;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Names of its classes; empty if it takes none. */
  readonly classNames: string[];
  /** Weakest and strongest guidance. */
  readonly guidance: { min: number; max: number };
  /** Length of the file. */
  readonly bytes: number;
  /** Bytes of working memory. */
  readonly arena: number;
  /** What computes: "simd128" or "portable". */
  readonly kernels: string;
  /** SHA-256 of the file; null on pages that are not secure (`https:` or localhost). */
  readonly sha256: string | null;
  /** Makes a picture; rejects with an error that says what is wrong with the request. */
  generate(request?: Request): Promise<Picture>;
  /** Frees its memory and ends its worker. */
  close(): void;
}

/** How to load. */
export interface Options {
  /** Called while the file arrives; `total` is `done` where the server does not tell the length. */
  onProgress?: (done: number, total: number) => void;
  /** Breaks the loading off. */
  signal?: AbortSignal;
  /** Whether a worker computes, so that the page never waits; yes where there are workers. */
  worker?: boolean;
  /** Whether to use 128-bit vectors; yes where the engine has them. */
  vectors?: boolean;
}

/** Loads a `.drift` file from an address or from its bytes, and proves it. */
export function load(source: string | URL | ArrayBuffer | Uint8Array, options?: Options): Promise<Model>;
