//! A handler of one's own: counts the lines of every file that passes.
use bytes::Bytes;
use dumbwaiter::upload::FileFacts;
use dumbwaiter::{Stop, UploadHandler};

#[derive(Default)]
struct Lines(usize);

impl UploadHandler for Lines {
    fn chunk(&mut self, chunk: Bytes) -> Result<Bytes, Stop> {
        self.0 += chunk.iter().filter(|byte| **byte == b'\n').count();
        Ok(chunk)
    }

    fn file_complete(&mut self, facts: &mut FileFacts) -> Result<Bytes, Stop> {
        println!("{:?} has {} lines", facts.name, self.0);
        Ok(Bytes::new())
    }
}

fn main() {
    let mut chain = dumbwaiter::handlers::Chain::default();
    chain.push(Lines::default);
    println!("{chain:?}");
}
