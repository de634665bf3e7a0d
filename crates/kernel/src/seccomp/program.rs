//! A compiled filter: the instructions as the kernel takes them, and as bytes for a cache or a pipe.

use crate::error::{Context, Result};
use rustix::io::Errno;

/// One classic BPF instruction with the layout of `struct sock_filter` (linux/filter.h).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instruction {
    pub code: u16,
    /// How many instructions a jump skips where its condition holds …
    pub jump_true: u8,
    /// … and where it does not.
    pub jump_false: u8,
    pub operand: u32,
}

pub(super) const INSTRUCTION_BYTES: usize = size_of::<Instruction>();
const _: () = assert!(INSTRUCTION_BYTES == 8 && size_of::<libc::sock_filter>() == 8);

/// `BPF_MAXINSNS`
pub(super) const INSTRUCTIONS_MAX: usize = 4096;

/// 1 to 4096 instructions. Only what `compile` made is known to be a valid filter; the kernel checks again at `load`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    instructions: Vec<Instruction>,
}

impl Program {
    /// `E2BIG` beyond 4096 instructions, `EINVAL` for none.
    pub(super) fn new(instructions: Vec<Instruction>) -> Result<Program> {
        match instructions.len() {
            0 => Err(Errno::INVAL).during("make a seccomp filter without instructions"),
            1..=INSTRUCTIONS_MAX => Ok(Program { instructions }),
            n => Err(Errno::TOOBIG).during(&format!(
                "make a seccomp filter of {n} instructions, where the kernel takes {INSTRUCTIONS_MAX}"
            )),
        }
    }

    /// How many instructions, at most 4096.
    pub fn instruction_count(&self) -> usize {
        self.instructions.len()
    }

    pub(super) fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// In this machine's byte order, eight bytes for each instruction.
    pub fn as_bytes(&self) -> &[u8] {
        let bytes = self.instructions.len() * INSTRUCTION_BYTES;
        // SAFETY: `Instruction` is `repr(C)` with fields of 2 + 1 + 1 + 4 bytes in 8, so it has no padding and every byte
        // is initialised; the slice lives as long as `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.instructions.as_ptr().cast::<u8>(), bytes) }
    }

    /// From what [`Program::as_bytes`] gave on this machine. `EINVAL` for a length that is not a whole program, `E2BIG` for
    /// more than 4096 instructions.
    pub fn from_bytes(bytes: &[u8]) -> Result<Program> {
        let (whole, rest) = bytes.as_chunks::<INSTRUCTION_BYTES>();
        if !rest.is_empty() {
            return Err(Errno::INVAL).during("read a seccomp filter that ends within an instruction");
        }
        let decode = |b: &[u8; INSTRUCTION_BYTES]| Instruction {
            code: u16::from_ne_bytes([b[0], b[1]]),
            jump_true: b[2],
            jump_false: b[3],
            operand: u32::from_ne_bytes([b[4], b[5], b[6], b[7]]),
        };
        Program::new(whole.iter().map(decode).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(n: usize) -> Result<Program> {
        Program::new(vec![Instruction { code: 6, jump_true: 1, jump_false: 2, operand: 0x7fff_0000 }; n])
    }

    #[test]
    fn bytes_come_back_as_the_same_program() {
        let program = program(3).unwrap();
        assert_eq!(program.as_bytes().len(), 24);
        assert_eq!(Program::from_bytes(program.as_bytes()).unwrap(), program);
    }

    #[test]
    fn sizes_are_checked() {
        assert_eq!(program(0).unwrap_err().errno, Errno::INVAL);
        assert!(program(4096).is_ok());
        assert_eq!(program(4097).unwrap_err().errno, Errno::TOOBIG);
        assert_eq!(Program::from_bytes(&[0; 12]).unwrap_err().errno, Errno::INVAL);
        assert_eq!(Program::from_bytes(&[]).unwrap_err().errno, Errno::INVAL);
    }
}
