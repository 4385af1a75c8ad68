//! The module inside the package `driftlet` for browsers and Node.js. Applications call `package/index.js`, which loads this.

use wasm_bindgen::prelude::*;

/// A generator of pictures.
#[wasm_bindgen]
pub struct Generator(driftlet_owned::Generator);

#[wasm_bindgen]
impl Generator {
    /// Proves the bytes of a `.drift` file.
    #[wasm_bindgen(constructor)]
    pub fn new(file: Vec<u8>) -> Result<Generator, JsError> {
        Ok(Self(driftlet_owned::Generator::new(file)?))
    }

    /// The picture of a seed: 8-bit pixels, `[height, width, channels]` row-major.
    pub fn generate(&mut self, seed: u64, class: u32, guidance: f32) -> Result<Vec<u8>, JsError> {
        self.make(driftlet_owned::Request { seed, class, guidance, towards: None })
    }

    /// The picture on the way from one seed to another; `position` in `0..=1`.
    pub fn between(
        &mut self,
        from: u64,
        to: u64,
        position: f32,
        class: u32,
        guidance: f32,
    ) -> Result<Vec<u8>, JsError> {
        self.make(driftlet_owned::Request { seed: from, class, guidance, towards: Some((to, position)) })
    }

    fn make(&mut self, request: driftlet_owned::Request) -> Result<Vec<u8>, JsError> {
        let mut pixels = vec![0; self.0.image_len()];
        self.0.generate(&request, &mut pixels)?;
        Ok(pixels)
    }

    /// Height, width and channels of a picture.
    #[wasm_bindgen(getter)]
    pub fn shape(&self) -> Vec<u32> {
        self.0.image_shape().map(|length| length as u32).to_vec()
    }

    /// Number of classes, 0 if the model takes none.
    #[wasm_bindgen(getter)]
    pub fn classes(&self) -> u32 {
        self.0.model().classes()
    }

    /// Weakest and strongest guidance.
    #[wasm_bindgen(getter)]
    pub fn guidance(&self) -> Vec<f32> {
        let (weakest, strongest) = self.0.guidance_range();
        vec![weakest, strongest]
    }

    /// Bytes of working memory.
    #[wasm_bindgen(getter)]
    pub fn arena(&self) -> usize {
        self.0.model().arena_len()
    }

    /// The kernels that compute: `simd128` or `portable`.
    #[wasm_bindgen(getter)]
    pub fn kernels(&self) -> String {
        self.0.kernels().name().into()
    }

    /// What the quantizer wrote about the model: JSON.
    #[wasm_bindgen(getter)]
    pub fn metadata(&self) -> String {
        String::from_utf8_lossy(self.0.model().metadata()).into_owned()
    }
}
