//! TensorBoard's event files: length, checksum, protocol buffer, checksum, again and again.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crc::{CRC_32_ISCSI, Crc};

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// An event file that grows.
pub struct Events {
    file: File,
}

impl Events {
    /// Starts a file in a run's directory; events of an earlier file from `step` on are void.
    pub fn create(directory: &Path, step: u64) -> io::Result<Self> {
        let now = now();
        let name = format!("events.out.tfevents.{:010}.driftlet.{}", now as u64, std::process::id());
        let mut events = Self { file: File::create(directory.join(name))? };
        events.write(&message(&[(3, Field::Bytes(b"brain.Event:2"))]), 0)?;
        if step > 0 {
            const START: u64 = 1;
            events.write(&message(&[(7, Field::Bytes(&message(&[(1, Field::Integer(START))])))]), step)?;
        }
        Ok(events)
    }

    /// A number.
    pub fn scalar(&mut self, step: u64, tag: &str, value: f64) -> io::Result<()> {
        self.summary(step, &[(1, Field::Bytes(tag.as_bytes())), (2, Field::Float(value as f32))])
    }

    /// A picture, as PNG.
    pub fn picture(&mut self, step: u64, tag: &str, png: &[u8]) -> io::Result<()> {
        // Width and height stand at fixed places of every PNG.
        let number = |at: usize| png.get(at..at + 4).map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]).into());
        let image = message(&[
            (1, Field::Integer(number(20))),
            (2, Field::Integer(number(16))),
            (3, Field::Integer(3)),
            (4, Field::Bytes(png)),
        ]);
        self.summary(step, &[(1, Field::Bytes(tag.as_bytes())), (4, Field::Bytes(&image))])
    }

    fn summary(&mut self, step: u64, value: &[(u8, Field)]) -> io::Result<()> {
        let summary = message(&[(1, Field::Bytes(&message(value)))]);
        self.write(&message(&[(5, Field::Bytes(&summary))]), step)
    }

    fn write(&mut self, what: &[u8], step: u64) -> io::Result<()> {
        let mut event = message(&[(1, Field::Double(now())), (2, Field::Integer(step))]);
        event.extend(what);
        let len = (event.len() as u64).to_le_bytes();
        let record = [&len[..], &checksum(&len), &event, &checksum(&event)].concat();
        self.file.write_all(&record)
    }
}

/// A field of a protocol buffer.
enum Field<'a> {
    Integer(u64),
    Double(f64),
    Float(f32),
    Bytes(&'a [u8]),
}

fn message(fields: &[(u8, Field)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, field) in fields {
        let key = |wire: u8| number << 3 | wire;
        match field {
            Field::Integer(value) => {
                bytes.push(key(0));
                varint(&mut bytes, *value);
            }
            Field::Double(value) => {
                bytes.push(key(1));
                bytes.extend(value.to_le_bytes());
            }
            Field::Bytes(value) => {
                bytes.push(key(2));
                varint(&mut bytes, value.len() as u64);
                bytes.extend(*value);
            }
            Field::Float(value) => {
                bytes.push(key(5));
                bytes.extend(value.to_le_bytes());
            }
        }
    }
    bytes
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// The masked checksum of the format.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    CRC32C.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_whole_and_hold_what_was_written() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let mut events = Events::create(directory.path(), 3)?;
        events.scalar(300, "loss", 0.5)?;
        events.picture(300, "samples", &[0; 24])?;
        let path = std::fs::read_dir(directory.path())?.next().ok_or(io::ErrorKind::NotFound)??.path();
        let file = std::fs::read(path)?;
        let (mut rest, mut records) = (&file[..], Vec::new());
        while !rest.is_empty() {
            let len = u64::from_le_bytes(rest[..8].try_into().expect("eight bytes"));
            assert_eq!(rest[8..12], checksum(&rest[..8]));
            let (event, after) = rest[12..].split_at(len as usize);
            assert_eq!(after[..4], checksum(event));
            records.push(event.to_vec());
            rest = &after[4..];
        }
        assert_eq!(records.len(), 4);
        // Key and value of the step (300 takes two bytes), then the summary with tag and number.
        let scalar = &records[2][9..];
        assert_eq!(scalar[..3], [0x10, 0xac, 0x02]);
        assert_eq!(scalar[3..], [0x2a, 13, 0x0a, 11, 0x0a, 4, b'l', b'o', b's', b's', 0x15, 0, 0, 0, 0x3f]);
        Ok(())
    }
}
