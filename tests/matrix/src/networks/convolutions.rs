//! Convolutions in every form; channels and positions on both sides of multiples of 4, 8 and 16.

use driftlet_quantize::graph::{Graph, Op};

use super::builder::{Builder, Form};

/// Strides, paddings, kernels, upsampling, residuals of 8 and 16 bits; one channel in and out.
pub fn dense() -> Graph<'static> {
    let mut b = Builder::new(1);
    let noise = b.noise([11, 9, 3]);
    let first = b.conv(noise, 10, Form::same(3).relu());
    let x = b.conv(first, 5, Form::same(1));
    let x = b.conv(x, 10, Form::same(3).relu().onto(first));
    let x = b.conv(x, 3, Form::same(3).onto(noise));
    let x = b.conv(x, 17, Form::strided(3, 2, 1).relu());
    let x = b.conv(x, 6, Form::same(5).upsampled());
    let x = b.conv(x, 33, Form::strided(2, 2, 0));
    let x = b.conv(x, 33, Form::same(1).onto(x));
    let x = b.conv(x, 4, Form::strided(3, 1, 0));
    let x = b.conv(x, 12, Form::same(3).upsampled().relu());
    let x = b.conv(x, 1, Form::same(3));
    let x = b.conv(x, 3, Form::same(3));
    b.finish_with_pixels(x, true)
}

/// 64 channels and more at 64 positions, as tiles of wide kernels want them, and a few more than tiles hold.
pub fn wide() -> Graph<'static> {
    let mut b = Builder::new(2);
    let noise = b.noise([8, 8, 4]);
    let x = b.conv(noise, 64, Form::same(3).relu());
    let y = b.conv(x, 72, Form::same(1).relu());
    let x = b.linear_onto(y, x);
    let y = b.linear(x, 67);
    let y = b.conv(y, 64, Form::same(1).relu());
    let x = b.linear_onto(y, x);
    let x = b.linear_onto(x, x);
    let x = b.conv(x, 67, Form::strided(3, 2, 1).relu());
    let x = b.linear(x, 80);
    let x = b.conv(x, 16, Form::same(3).upsampled());
    let x = b.conv(x, 3, Form::same(1));
    b.finish_with_pixels(x, true)
}

/// Every channel by itself: 5, 19, 40 and 64 of them.
pub fn depthwise() -> Graph<'static> {
    let mut b = Builder::new(3);
    let noise = b.noise([10, 9, 5]);
    let x = b.conv(noise, 5, Form::same(3).depthwise().relu());
    let x = b.conv(x, 19, Form::same(1));
    let x = b.conv(x, 19, Form::strided(3, 2, 1).depthwise());
    let y = b.conv(x, 19, Form::same(5).depthwise().onto(x));
    let x = b.conv(y, 19, Form::same(3).depthwise().onto(x));
    let x = b.conv(x, 19, Form::same(1));
    let constant = b.table(25 * 19, 0.0, 0.5);
    let x = b.push(Op::Add(Some(constant)), &[x], [5, 5, 19]);
    let x = b.conv(x, 19, Form::same(3).depthwise());
    let x = b.conv(x, 40, Form::same(1).relu());
    let x = b.conv(x, 40, Form::same(3).depthwise().upsampled());
    let x = b.conv(x, 64, Form::strided(1, 2, 0));
    let x = b.conv(x, 64, Form::strided(4, 1, 2).depthwise().relu());
    let x = b.conv(x, 8, Form::same(1));
    let x = b.conv(x, 8, Form::strided(2, 1, 0).depthwise());
    b.finish(x)
}

/// Transposed convolutions with and without what lies behind the kernel's reach.
pub fn transposed() -> Graph<'static> {
    let mut b = Builder::new(4);
    let noise = b.noise([5, 4, 6]);
    let x = b.conv(noise, 9, Form::transposed(3, 2, 1, 1).relu());
    let y = b.conv(x, 9, Form::transposed(3, 1, 1, 0).onto(x));
    let x = b.conv(y, 9, Form::transposed(1, 1, 0, 0).onto(x));
    let x = b.conv(x, 9, Form::same(1).relu());
    let x = b.conv(x, 16, Form::strided(3, 2, 1));
    let constant = b.table(16, 0.0, 1.0);
    let x = b.push(Op::Add(Some(constant)), &[x], [5, 4, 16]);
    let x = b.conv(x, 7, Form::transposed(4, 2, 1, 0));
    let x = b.conv(x, 64, Form::strided(3, 2, 1).relu());
    let x = b.conv(x, 18, Form::transposed(2, 2, 0, 0));
    let x = b.conv(x, 2, Form::same(1));
    let x = b.conv(x, 1, Form::transposed(5, 3, 1, 2));
    b.finish_with_pixels(x, false)
}
