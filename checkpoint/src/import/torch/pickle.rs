//! The part of Python's pickle format that `torch.save` writes for dictionaries of tensors. Nothing is ever executed:
//! objects of unknown classes are passed over. burn-store 0.21 has a reader too, but it ignores strides and fills what
//! a file lacks with zeros.

use std::collections::HashMap;
use std::rc::Rc;

use super::bytes::{number, part};

/// A tensor as the pickle describes it.
#[derive(Debug)]
pub struct Described {
    /// Storage class, which tells the type of the numbers: `FloatStorage`.
    pub storage: Rc<str>,
    /// Name of the entry with the numbers.
    pub key: Rc<str>,
    /// Where the tensor begins in the storage, in numbers.
    pub offset: usize,
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Distance of neighbours in each dimension, in numbers.
    pub strides: Vec<usize>,
}

/// Dictionaries and tuples stand in tables of the machine, so that no nesting can exhaust the stack.
#[derive(Clone)]
enum Value {
    Int(i64),
    Text(Rc<str>),
    /// Module and name, with a space between.
    Global(Rc<str>),
    Tuple(usize),
    Dict(usize),
    Storage(Rc<str>, Rc<str>),
    Tensor(Rc<Described>),
    Other,
}

/// The tensors in the dictionary that a pickle makes, by the dotted path of their keys.
pub fn tensors(code: &[u8]) -> Result<Vec<(String, Rc<Described>)>, String> {
    let mut machine = Machine { code, ..Machine::default() };
    let Value::Dict(root) = machine.run()? else {
        return Err("it holds no dictionary; save the state_dict of the model, not the model".into());
    };
    let mut found = Vec::new();
    let mut left = 1_000_000;
    machine.collect(root, "", 0, &mut left, &mut found)?;
    Ok(found)
}

#[derive(Default)]
struct Machine<'a> {
    code: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<usize, Value>,
    tuples: Vec<Vec<Value>>,
    dicts: Vec<Vec<(Value, Value)>>,
}

impl<'a> Machine<'a> {
    /// Runs until the end and gives the result.
    fn run(&mut self) -> Result<Value, String> {
        loop {
            let operation = self.number::<1>()? as u8;
            match operation {
                // Protocol, frame.
                0x80 => drop(self.take(1)?),
                0x95 => drop(self.take(8)?),
                b'.' => return self.pop(),
                // Stack and memo.
                b'(' => self.marks.push(self.stack.len()),
                b'0' => drop(self.pop()?),
                b'1' => drop(self.pop_to_mark()?),
                b'2' => self.stack.push(self.top()?),
                b'q' => self.memorize_at::<1>()?,
                b'r' => self.memorize_at::<4>()?,
                0x94 => drop(self.memo.insert(self.memo.len(), self.top()?)),
                b'h' => self.recall::<1>()?,
                b'j' => self.recall::<4>()?,
                // None, booleans, floating-point numbers, bytes, lists, sets: nothing of a tensor depends on them.
                b'N' | 0x88 | 0x89 | b']' | 0x8f => self.stack.push(Value::Other),
                b'G' => self.skip(8)?,
                b'B' => self.skip_counted::<4>()?,
                b'C' => self.skip_counted::<1>()?,
                b'a' => drop(self.pop()?),
                b'e' | 0x90 => drop(self.pop_to_mark()?),
                // Whole numbers.
                b'K' => self.push_number::<1>()?,
                b'M' => self.push_number::<2>()?,
                b'J' => {
                    let value = self.number::<4>()? as u32 as i32;
                    self.stack.push(Value::Int(value.into()));
                }
                0x8a => self.long()?,
                // Text.
                b'X' | b'T' => self.text::<4>()?,
                0x8c | b'U' => self.text::<1>()?,
                0x8d => self.text::<8>()?,
                // Tuples.
                b')' => self.tuple(0)?,
                0x85..=0x87 => self.tuple(usize::from(operation - 0x84))?,
                b't' => {
                    let items = self.pop_to_mark()?;
                    self.push_tuple(items);
                }
                // Dictionaries.
                b'}' => self.push_dict(),
                b's' => {
                    let items = self.pop_many(2)?;
                    self.fill(items)?;
                }
                b'u' => {
                    let items = self.pop_to_mark()?;
                    self.fill(items)?;
                }
                // Classes and objects.
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.stack.push(Value::Global(format!("{module} {name}").into()));
                }
                0x93 => {
                    let names = self.pop_many(2)?;
                    self.stack.push(match &names[..] {
                        [Value::Text(module), Value::Text(name)] => Value::Global(format!("{module} {name}").into()),
                        _ => Value::Other,
                    });
                }
                b'Q' => {
                    let id = self.pop()?;
                    let storage = self.storage(&id);
                    self.stack.push(storage);
                }
                b'R' => self.call()?,
                0x81 => {
                    self.pop_many(2)?;
                    self.stack.push(Value::Other);
                }
                b'b' => drop(self.pop()?),
                _ => {
                    return Err(format!(
                        "its pickle has the operation {operation:#04x}, which torch.save does not write; \
                         save the state_dict of the model again"
                    ));
                }
            }
        }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], String> {
        let bytes = part(self.code, self.at, len)?;
        self.at += len;
        Ok(bytes)
    }

    fn number<const N: usize>(&mut self) -> Result<usize, String> {
        number::<N>(self.take(N)?, 0)
    }

    fn skip(&mut self, len: usize) -> Result<(), String> {
        self.take(len)?;
        self.stack.push(Value::Other);
        Ok(())
    }

    fn skip_counted<const N: usize>(&mut self) -> Result<(), String> {
        let len = self.number::<N>()?;
        self.skip(len)
    }

    fn push_number<const N: usize>(&mut self) -> Result<(), String> {
        let value = self.number::<N>()?;
        self.stack.push(Value::Int(value as i64));
        Ok(())
    }

    /// A number of any length; those of more than 64 bits mean nothing here.
    fn long(&mut self) -> Result<(), String> {
        let len = self.number::<1>()?;
        let bytes = self.take(len)?;
        let sign = if bytes.last().is_some_and(|&byte| byte >= 0x80) { -1 } else { 0 };
        let value = bytes.iter().rev().fold(sign, |value: i64, &byte| value << 8 | i64::from(byte));
        self.stack.push(if len <= 8 { Value::Int(value) } else { Value::Other });
        Ok(())
    }

    fn text<const N: usize>(&mut self) -> Result<(), String> {
        let len = self.number::<N>()?;
        let text = String::from_utf8_lossy(self.take(len)?).into();
        self.stack.push(Value::Text(text));
        Ok(())
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = &self.code[self.at..];
        let len = rest.iter().position(|&byte| byte == b'\n').ok_or("its pickle ends in a name; copy it again")?;
        let line = String::from_utf8_lossy(&rest[..len]).into_owned();
        self.at += len + 1;
        Ok(line)
    }

    fn top(&self) -> Result<Value, String> {
        self.stack.last().cloned().ok_or_else(unbalanced)
    }

    fn pop(&mut self) -> Result<Value, String> {
        self.stack.pop().ok_or_else(unbalanced)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Value>, String> {
        let start = self.stack.len().checked_sub(count).ok_or_else(unbalanced)?;
        Ok(self.stack.split_off(start))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, String> {
        let start = self.marks.pop().filter(|&start| start <= self.stack.len()).ok_or_else(unbalanced)?;
        Ok(self.stack.split_off(start))
    }

    fn memorize_at<const N: usize>(&mut self) -> Result<(), String> {
        let place = self.number::<N>()?;
        self.memo.insert(place, self.top()?);
        Ok(())
    }

    fn recall<const N: usize>(&mut self) -> Result<(), String> {
        let place = self.number::<N>()?;
        self.stack.push(self.memo.get(&place).cloned().ok_or_else(unbalanced)?);
        Ok(())
    }

    fn tuple(&mut self, count: usize) -> Result<(), String> {
        let items = self.pop_many(count)?;
        self.push_tuple(items);
        Ok(())
    }

    fn push_tuple(&mut self, items: Vec<Value>) {
        self.stack.push(Value::Tuple(self.tuples.len()));
        self.tuples.push(items);
    }

    fn push_dict(&mut self) {
        self.stack.push(Value::Dict(self.dicts.len()));
        self.dicts.push(Vec::new());
    }

    /// Adds keys and values to the dictionary on top.
    fn fill(&mut self, items: Vec<Value>) -> Result<(), String> {
        if let Value::Dict(dict) = self.top()? {
            let pairs = items.as_chunks().0.iter().map(|[key, value]| (key.clone(), value.clone()));
            self.dicts[dict].extend(pairs);
        }
        Ok(())
    }

    fn items(&self, value: &Value) -> &[Value] {
        match value {
            Value::Tuple(tuple) => &self.tuples[*tuple],
            _ => &[],
        }
    }

    /// `("storage", class, key, device, length)`.
    fn storage(&self, id: &Value) -> Value {
        match self.items(id) {
            [Value::Text(tag), Value::Global(class), Value::Text(key), ..] if &**tag == "storage" => {
                let class = class.rsplit(' ').next().unwrap_or_default();
                Value::Storage(class.into(), key.clone())
            }
            _ => Value::Other,
        }
    }

    fn call(&mut self) -> Result<(), String> {
        let arguments = self.pop()?;
        let Value::Global(function) = self.pop()? else {
            self.stack.push(Value::Other);
            return Ok(());
        };
        let arguments = self.items(&arguments);
        let result = match &*function {
            "collections OrderedDict" => {
                self.push_dict();
                return Ok(());
            }
            "torch._utils _rebuild_tensor_v2" => self.tensor(arguments),
            "torch._utils _rebuild_parameter" => arguments.first().cloned(),
            _ => None,
        };
        self.stack.push(result.unwrap_or(Value::Other));
        Ok(())
    }

    /// `(storage, offset, shape, strides, ..)`.
    fn tensor(&self, arguments: &[Value]) -> Option<Value> {
        let [Value::Storage(storage, key), Value::Int(offset), shape, strides, ..] = arguments else { return None };
        let numbers = |value: &Value| -> Option<Vec<usize>> {
            let number = |item: &Value| match item {
                Value::Int(number) => usize::try_from(*number).ok(),
                _ => None,
            };
            // A tensor of many dimensions is none of ours, and could be repeated to fill the memory.
            let items = self.items(value);
            if items.len() > 8 { None } else { items.iter().map(number).collect() }
        };
        let (shape, strides) = (numbers(shape)?, numbers(strides)?);
        if shape.len() != strides.len() {
            return None;
        }
        let offset = usize::try_from(*offset).ok()?;
        Some(Value::Tensor(Rc::new(Described { storage: storage.clone(), key: key.clone(), offset, shape, strides })))
    }

    /// `left` bounds the work where dictionaries hold each other.
    fn collect(
        &self,
        dict: usize,
        path: &str,
        depth: usize,
        left: &mut usize,
        found: &mut Vec<(String, Rc<Described>)>,
    ) -> Result<(), String> {
        for (key, value) in &self.dicts[dict] {
            *left = left.checked_sub(1).ok_or("its dictionaries have too many entries")?;
            let Value::Text(key) = key else { continue };
            if key.len() > 256 {
                return Err("a name in its dictionary is longer than 256 bytes".into());
            }
            match value {
                Value::Tensor(tensor) => found.push((format!("{path}{key}"), tensor.clone())),
                Value::Dict(inner) if depth < 4 => {
                    self.collect(*inner, &format!("{path}{key}."), depth + 1, left, found)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn unbalanced() -> String {
    "its pickle is damaged; copy it again".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> Result<Vec<u8>, String> {
        let file = include_bytes!("../../../tests/data/tiny.pt");
        let entries = super::super::archive::entries(file)?;
        let pickle = entries.into_iter().find(|(name, _)| name.ends_with("data.pkl")).ok_or("no pickle")?;
        Ok(pickle.1.to_vec())
    }

    /// Checksums keep damage away from the machine; here they do not.
    #[test]
    fn damaged_pickles_do_not_panic() -> Result<(), String> {
        let whole = tiny()?;
        assert_eq!(tensors(&whole)?.len(), 32);
        for len in 0..whole.len() {
            assert!(tensors(&whole[..len]).is_err(), "{len} bytes");
        }
        for at in 0..whole.len() {
            for value in
                [0x00, 0x01, 0xff, b'(', b'.', b'0', b'2', b'R', b'Q', b'b', b'e', b'h', b'q', b's', b't', b'u', 0x85]
            {
                let mut damaged = whole.clone();
                damaged[at] = value;
                drop(tensors(&damaged));
            }
        }
        Ok(())
    }

    #[test]
    fn dictionaries_that_hold_themselves_end() {
        // A dictionary whose thousand entries are itself.
        let mut code = b"\x80\x02}q\x00(".to_vec();
        for _ in 0..1000 {
            code.extend(b"X\x01\x00\x00\x00ah\x00");
        }
        code.extend(b"u.");
        assert!(tensors(&code).is_err_and(|problem| problem.contains("too many entries")));
        // Nested tuples, deeper than any stack.
        let deep = [b"\x80\x02)".as_slice(), &vec![0x85; 1_000_000], b"."].concat();
        assert!(tensors(&deep).is_err_and(|problem| problem.contains("no dictionary")));
    }
}
