//! Pooling.

/// Mean over all positions of a map.
pub fn global_avg_pool(x: &[f32], out: &mut [f32]) {
    let positions = (x.len() / out.len()) as f32;
    out.fill(0.0);
    for position in x.chunks_exact(out.len()) {
        for (sum, &x) in out.iter_mut().zip(position) {
            *sum += x;
        }
    }
    for sum in out {
        *sum /= positions;
    }
}
