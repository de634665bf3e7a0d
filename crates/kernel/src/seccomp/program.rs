//! A compiled filter: the instructions as the kernel takes them, within its bounds. `compile.rs` makes it, `load.rs`
//! hands it over.

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

const _: () = assert!(size_of::<Instruction>() == 8 && size_of::<libc::sock_filter>() == 8);

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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(n: usize) -> Result<Program> {
        Program::new(vec![Instruction { code: 6, jump_true: 1, jump_false: 2, operand: 0x7fff_0000 }; n])
    }

    #[test]
    fn sizes_are_checked() {
        assert_eq!(program(0).unwrap_err().errno, Errno::INVAL);
        assert!(program(4096).is_ok());
        assert_eq!(program(4097).unwrap_err().errno, Errno::TOOBIG);
    }
}
