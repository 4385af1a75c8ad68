//! The native half of `dev.driftlet.Model`, for Android and for desktop virtual machines.
//!
//! Java holds numbers, not pointers: each names a generator in a table here, so that a number which is no longer valid is an
//! exception and never an access to freed memory.

mod table;

use std::sync::{Arc, Mutex, PoisonError};

use driftlet_owned::{Error, Generator, Request};
use jni::JNIEnv;
use jni::objects::{JByteArray, JClass, JObject, JObjectArray};
use jni::sys::{jfloat, jfloatArray, jint, jintArray, jlong, jobjectArray, jstring};

/// What ends a call: an exception of this type with this text, or one that Java has thrown already.
enum Failure {
    Thrown(&'static str, String),
    Pending,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Thrown("java/lang/IllegalArgumentException", error.to_string())
    }
}

impl From<jni::errors::Error> for Failure {
    fn from(error: jni::errors::Error) -> Self {
        match error {
            jni::errors::Error::JavaException => Self::Pending,
            other => Self::Thrown("java/lang/IllegalStateException", other.to_string()),
        }
    }
}

/// Runs the body of a native method; a failure becomes an exception, and the value returned then means nothing.
fn call<'local, T: Default>(
    env: &mut JNIEnv<'local>,
    body: impl FnOnce(&mut JNIEnv<'local>) -> Result<T, Failure>,
) -> T {
    body(env).unwrap_or_else(|failure| {
        if let Failure::Thrown(class, text) = failure {
            // If even that fails, an exception is pending already.
            let _ = env.throw_new(class, text);
        }
        T::default()
    })
}

fn generator(handle: jlong) -> Result<Arc<Mutex<Generator>>, Failure> {
    let closed = || Failure::Thrown("java/lang/IllegalStateException", "the model is closed".into());
    table::get(handle).ok_or_else(closed)
}

/// Does something with a generator while no other thread uses it.
fn with<T>(handle: jlong, body: impl FnOnce(&mut Generator) -> T) -> Result<T, Failure> {
    // Generators hold no state that a panic could leave half changed.
    Ok(body(&mut generator(handle)?.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// `long open(byte[] file)`
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_driftlet_Model_open(mut env: JNIEnv, _: JClass, file: JByteArray) -> jlong {
    call(&mut env, |env| Ok(table::insert(Generator::new(env.convert_byte_array(file)?)?)))
}

/// `void close(long handle)`
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_driftlet_Model_close(_: JNIEnv, _: JClass, handle: jlong) {
    table::remove(handle);
}

/// `void generate(long handle, long seed, long towards, float position, int label, float guidance, byte[] out)`
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_driftlet_Model_generate(
    mut env: JNIEnv,
    _: JClass,
    handle: jlong,
    seed: jlong,
    towards: jlong,
    position: jfloat,
    label: jint,
    guidance: jfloat,
    out: JByteArray,
) {
    call(&mut env, |env| {
        // A position that is not a number stands for no way. Seeds are unsigned; Java has no type for that.
        let towards = (!position.is_nan()).then_some((towards as u64, position));
        let request = Request { seed: seed as u64, class: label as u32, guidance, towards };
        let pixels = with(handle, |generator| {
            let mut pixels = vec![0; generator.image_len()];
            generator.generate(&request, &mut pixels).map(|()| pixels)
        })??;
        let pixels: Vec<i8> = pixels.into_iter().map(|pixel| pixel as i8).collect();
        Ok(env.set_byte_array_region(out, 0, &pixels)?)
    });
}

/// `int[] numbers(long handle)`: height, width, channels, bytes of the file, bytes of working memory.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_driftlet_Model_numbers(mut env: JNIEnv, _: JClass, handle: jlong) -> jintArray {
    let array = call(&mut env, |env| {
        let numbers = with(handle, |generator| {
            let [height, width, channels] = generator.image_shape();
            // All below 2 GiB, as the parse has proved.
            [height, width, channels, generator.file().len(), generator.model().arena_len()].map(|n| n as i32)
        })?;
        let array = env.new_int_array(numbers.len() as jint)?;
        env.set_int_array_region(&array, 0, &numbers)?;
        Ok(JObject::from(array))
    });
    array.into_raw()
}

/// `float[] guidance(long handle)`: the least and the largest.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_driftlet_Model_guidance(mut env: JNIEnv, _: JClass, handle: jlong) -> jfloatArray {
    let array = call(&mut env, |env| {
        let (weakest, strongest) = with(handle, |generator| generator.guidance_range())?;
        let array = env.new_float_array(2)?;
        env.set_float_array_region(&array, 0, &[weakest, strongest])?;
        Ok(JObject::from(array))
    });
    array.into_raw()
}

/// `String[] classNames(long handle)`
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_driftlet_Model_classNames(mut env: JNIEnv, _: JClass, handle: jlong) -> jobjectArray {
    let array = call(&mut env, |env| {
        let names = with(handle, |generator| generator.class_names())?;
        let array: JObjectArray = env.new_object_array(names.len() as jint, "java/lang/String", JObject::null())?;
        for (index, name) in names.iter().enumerate() {
            let name = env.new_string(name)?;
            env.set_object_array_element(&array, index as jint, name)?;
        }
        Ok(JObject::from(array))
    });
    array.into_raw()
}

/// `String kernels(long handle)`
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_driftlet_Model_kernels(mut env: JNIEnv, _: JClass, handle: jlong) -> jstring {
    let name = call(&mut env, |env| {
        let kernels = with(handle, |generator| generator.kernels())?;
        Ok(JObject::from(env.new_string(kernels.name())?))
    });
    name.into_raw()
}
