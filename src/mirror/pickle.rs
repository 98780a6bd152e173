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
}
