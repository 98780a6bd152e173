//! The value that Django's caches of memcached and Redis read as `{"length": M, "uploaded": N}`: a pickle, protocol 2.
//!
//! Pickles are written and never read here: reading one runs whatever its author wants.

/// `{"length": length, "uploaded": uploaded}` for Python.
pub(super) fn dict(length: u64, uploaded: u64) -> Vec<u8> {
    let mut pickle = vec![0x80, 2, b'}', b'('];
    for (name, value) in [("length", length), ("uploaded", uploaded)] {
        pickle.push(b'X');
        pickle.extend((name.len() as u32).to_le_bytes());
        pickle.extend(name.as_bytes());
        int(&mut pickle, value);
    }
    pickle.extend(b"u.");
    pickle
}

/// The shortest that Python itself would write.
fn int(pickle: &mut Vec<u8>, value: u64) {
    if let Ok(byte) = u8::try_from(value) {
        pickle.extend([b'K', byte]);
    } else if let Ok(short) = u16::try_from(value) {
        pickle.push(b'M');
        pickle.extend(short.to_le_bytes());
    } else if let Ok(signed) = i32::try_from(value) {
        pickle.push(b'J');
        pickle.extend(signed.to_le_bytes());
    } else {
        // Signed, so that a number whose first bit is set needs a byte more.
        let bytes = u128::from(value).to_le_bytes();
        let length = (u64::BITS - value.leading_zeros()) as usize / 8 + 1;
        pickle.extend([0x8a, length as u8]);
        pickle.extend(&bytes[..length]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_take_the_shortest_form_that_python_writes() {
        let int = |value| {
            let mut pickle = Vec::new();
            super::int(&mut pickle, value);
            pickle
        };
        for (value, pickle) in [
            (0, &b"K\x00"[..]),
            (255, b"K\xff"),
            (256, b"M\x00\x01"),
            (65535, b"M\xff\xff"),
            (65536, b"J\x00\x00\x01\x00"),
            (0x7fff_ffff, b"J\xff\xff\xff\x7f"),
            (0x8000_0000, b"\x8a\x05\x00\x00\x00\x80\x00"),
            (0xffff_ffff, b"\x8a\x05\xff\xff\xff\xff\x00"),
            (1 << 40, b"\x8a\x06\x00\x00\x00\x00\x00\x01"),
            (u64::MAX, b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00"),
        ] {
            assert_eq!(int(value), pickle, "{value}");
        }
    }

    #[test]
    fn the_whole_is_the_dictionary_of_the_article() {
        let pickle = dict(1_048_576, 7);
        let expected = b"\x80\x02}(X\x06\0\0\0lengthJ\x00\x00\x10\x00X\x08\0\0\0uploadedK\x07u.";
        assert_eq!(pickle, expected);
    }

    /// Reads an int as Python's unpickler does.
    fn read(pickle: &[u8]) -> (i128, &[u8]) {
        let signed = |bytes: &[u8]| {
            let sign = match bytes.last() {
                Some(last) if last & 0x80 != 0 => 0xff,
                _ => 0,
            };
            let mut whole = [sign; 16];
            whole[..bytes.len()].copy_from_slice(bytes);
            i128::from_le_bytes(whole)
        };
        match pickle {
            [b'K', byte, rest @ ..] => (i128::from(*byte), rest),
            [b'M', low, high, rest @ ..] => (i128::from(u16::from_le_bytes([*low, *high])), rest),
            [b'J', rest @ ..] => (signed(&rest[..4]), &rest[4..]),
            [0x8a, length, rest @ ..] => {
                let (bytes, rest) = rest.split_at(usize::from(*length));
                (signed(bytes), rest)
            }
            other => panic!("no int: {other:x?}"),
        }
    }

    /// Both numbers of a dictionary.
    fn read_dict(pickle: &[u8]) -> (i128, i128) {
        let (length, rest) = read(&pickle[15..]);
        let (uploaded, rest) = read(&rest[13..]);
        assert_eq!(rest, b"u.");
        (length, uploaded)
    }

    #[test]
    fn numbers_around_every_power_of_two_are_read_back() {
        let powers = (0..64).map(|bit| 1_u64 << bit);
        let around = powers.flat_map(|power| [power - 1, power, power | 1]);
        for number in around.chain([u64::MAX]) {
            let expected = i128::from(number);
            assert_eq!(read_dict(&dict(number, number)), (expected, expected));
        }
    }

    proptest! {
        #[test]
        fn any_numbers_are_read_back(length: u64, uploaded: u64, less in 0..64_u32) {
            let (length, uploaded) = (length >> less, uploaded >> less);
            let expected = (i128::from(length), i128::from(uploaded));
            prop_assert_eq!(read_dict(&dict(length, uploaded)), expected);
        }
    }
}
