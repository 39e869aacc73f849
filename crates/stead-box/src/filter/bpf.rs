//! The filter as a program for the kernel.
//!
//! It is written here and not by a crate because it needs three answers (allow, `EPERM`, `ENOSYS`), a ceiling and a
//! look at arguments in one program of some 150 instructions; building it takes microseconds. What is always allowed
//! costs nothing at run time: the kernel works that out when it loads the program, so the order does not matter.

use super::calls::{DENIED, Deny, NEW_ANY, NEW_TIME, NEWEST};

/// One instruction, as the kernel takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// How many to skip if true.
    pub jt: u8,
    /// How many to skip if false.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// An architecture that Stead runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// 64-bit Intel and AMD.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

impl Arch {
    /// The one that this program is built for.
    #[cfg(target_arch = "x86_64")]
    pub const NATIVE: Self = Self::X86_64;
    /// The one that this program is built for.
    #[cfg(target_arch = "aarch64")]
    pub const NATIVE: Self = Self::Aarch64;

    /// Its name in the kernel's audit records.
    pub(super) const fn audit(self) -> u32 {
        match self {
            Self::X86_64 => 0xc000_003e,
            Self::Aarch64 => 0xc000_00b7,
        }
    }
}

/// The answer: the call goes through.
pub const ALLOW: u32 = 0x7fff_0000;
/// The answer: the call fails with the error in the low half.
pub const ERRNO: u32 = 0x0005_0000;

const LOAD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

/// Where the kernel shows the number of the call.
const NUMBER: u32 = 0;
/// Where it shows the architecture.
const ARCH: u32 = 4;

/// Where it shows the low half of an argument, on little-endian machines. The arguments that are looked at are all
/// of 32 bits, or flags whose known bits are below.
const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

const fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> Instruction {
    Instruction { code, jt, jf, k }
}

const fn answer(errno: i32) -> Instruction {
    instruction(RETURN, 0, 0, ERRNO | errno as u32)
}

const ALLOWED: Instruction = instruction(RETURN, 0, 0, ALLOW);

/// The filter.
pub fn program(arch: Arch, nested: bool) -> Vec<Instruction> {
    let mut program = vec![
        instruction(LOAD, 0, 0, ARCH),
        instruction(JUMP_EQUAL, 1, 0, arch.audit()),
        answer(libc::ENOSYS),
        instruction(LOAD, 0, 0, NUMBER),
        // Also every x32 call: they have a high bit.
        instruction(JUMP_GREATER, 0, 1, NEWEST),
        answer(libc::ENOSYS),
    ];
    for row in DENIED {
        let number = match arch {
            Arch::X86_64 => row.x86_64,
            Arch::Aarch64 => row.aarch64,
        };
        let Some(number) = number else { continue };
        if nested && row.nested {
            continue;
        }
        let body = body(row.deny, nested);
        program.push(instruction(JUMP_EQUAL, 0, body.len() as u8, number));
        program.extend(body);
    }
    program.push(ALLOWED);
    program
}

/// What happens to one call; it always ends in an answer.
fn body(deny: Deny, nested: bool) -> Vec<Instruction> {
    match deny {
        Deny::Always(errno) => vec![answer(errno)],
        Deny::NewNamespaces => vec![
            instruction(LOAD, 0, 0, argument(0)),
            instruction(JUMP_ANY_BIT, 0, 1, NEW_ANY),
            answer(libc::EPERM),
            ALLOWED,
        ],
        Deny::UnshareNamespaces => vec![
            instruction(LOAD, 0, 0, argument(0)),
            instruction(JUMP_ANY_BIT, 0, 1, NEW_ANY | NEW_TIME),
            answer(libc::EPERM),
            ALLOWED,
        ],
        Deny::Values { index, values, errno } => {
            let mut body = vec![instruction(LOAD, 0, 0, argument(index))];
            for &value in values {
                body.extend([instruction(JUMP_EQUAL, 0, 1, value), answer(errno)]);
            }
            body.push(ALLOWED);
            body
        }
        Deny::OtherBits { index, bits, query } => vec![
            instruction(LOAD, 0, 0, argument(index)),
            instruction(JUMP_EQUAL, 1, 0, query),
            instruction(JUMP_ANY_BIT, 1, 0, !bits),
            ALLOWED,
            answer(libc::EPERM),
        ],
        Deny::OtherSockets { families, netlink, netlink_nested } => {
            let mut body = vec![instruction(LOAD, 0, 0, argument(0))];
            for &family in families {
                body.extend([instruction(JUMP_EQUAL, 0, 1, family), ALLOWED]);
            }
            body.extend([
                instruction(JUMP_EQUAL, 1, 0, libc::AF_NETLINK as u32),
                answer(libc::EAFNOSUPPORT),
                instruction(LOAD, 0, 0, argument(2)),
            ]);
            let extra: &[u32] = if nested { netlink_nested } else { &[] };
            for &protocol in netlink.iter().chain(extra) {
                body.extend([instruction(JUMP_EQUAL, 0, 1, protocol), ALLOWED]);
            }
            body.push(answer(libc::EPROTONOSUPPORT));
            body
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::calls::Denied;
    use super::*;

    /// The kernel's machine, as far as the filter uses it.
    fn run(program: &[Instruction], arch: u32, number: u32, arguments: [u32; 3]) -> u32 {
        let (mut at, mut value) = (0, 0);
        loop {
            let Instruction { code, jt, jf, k } = program[at];
            let jump = match code {
                LOAD => {
                    value = match k {
                        NUMBER => number,
                        ARCH => arch,
                        k => arguments[(k as usize - 16) / 8],
                    };
                    0
                }
                RETURN => return k,
                JUMP_EQUAL => {
                    if value == k {
                        jt
                    } else {
                        jf
                    }
                }
                JUMP_GREATER => {
                    if value > k {
                        jt
                    } else {
                        jf
                    }
                }
                JUMP_ANY_BIT => {
                    if value & k != 0 {
                        jt
                    } else {
                        jf
                    }
                }
                other => panic!("unknown instruction {other}"),
            };
            at += 1 + usize::from(jump);
        }
    }

    const BOTH: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];

    fn number(arch: Arch, name: &str) -> u32 {
        let row = DENIED.iter().find(|row| row.name == name).unwrap();
        match arch {
            Arch::X86_64 => row.x86_64.unwrap(),
            Arch::Aarch64 => row.aarch64.unwrap(),
        }
    }

    fn errno(errno: i32) -> u32 {
        ERRNO | errno as u32
    }

    #[test]
    fn each_row_is_denied_on_both_architectures_and_nothing_else_is() {
        for arch in BOTH {
            for nested in [false, true] {
                let program = program(arch, nested);
                let of = |row: &Denied| if arch == Arch::X86_64 { row.x86_64 } else { row.aarch64 };
                for call in 0..=NEWEST {
                    let row = DENIED.iter().find(|row| of(row) == Some(call));
                    let wanted = match row {
                        Some(row) if nested && row.nested => ALLOW,
                        Some(Denied { deny: Deny::Always(code), .. }) => errno(*code),
                        // These look at their arguments.
                        Some(_) => continue,
                        None => ALLOW,
                    };
                    assert_eq!(
                        run(&program, arch.audit(), call, [0; 3]),
                        wanted,
                        "{arch:?} {call} nested {nested}"
                    );
                }
                for call in [NEWEST + 1, 512, 0x4000_0000, 0x4000_0038, u32::MAX] {
                    assert_eq!(
                        run(&program, arch.audit(), call, [0; 3]),
                        errno(libc::ENOSYS),
                        "{call}"
                    );
                }
                assert_eq!(run(&program, 0x4000_0003, 1, [0; 3]), errno(libc::ENOSYS), "i386");
                assert_eq!(
                    run(&program, 0x4000_0028, 1, [0; 3]),
                    errno(libc::ENOSYS),
                    "32-bit ARM"
                );
            }
        }
    }

    #[test]
    fn arguments_decide() {
        let eperm = errno(libc::EPERM);
        for arch in BOTH {
            let (strict, nested) = (program(arch, false), program(arch, true));
            let ask = |program: &[Instruction], name: &str, arguments| {
                run(program, arch.audit(), number(arch, name), arguments)
            };
            for bit in [17, 25, 26, 27, 28, 29, 30] {
                assert_eq!(ask(&strict, "clone", [1 << bit | 0x11, 0, 0]), eperm, "{bit}");
                assert_eq!(ask(&strict, "unshare", [1 << bit, 0, 0]), eperm, "{bit}");
                assert_eq!(ask(&nested, "clone", [1 << bit | 0x11, 0, 0]), ALLOW, "{bit}");
                assert_eq!(ask(&nested, "unshare", [1 << bit, 0, 0]), ALLOW, "{bit}");
            }
            assert_eq!(ask(&strict, "unshare", [0x80, 0, 0]), eperm, "a time namespace");
            assert_eq!(ask(&strict, "clone", [0x003d_0f00, 0, 0]), ALLOW, "a thread");
            assert_eq!(ask(&strict, "unshare", [0x400, 0, 0]), ALLOW, "files");
            for (family, protocol, wanted) in [
                (1, 0, ALLOW),
                (2, 6, ALLOW),
                (10, 17, ALLOW),
                (16, 0, ALLOW),
                (16, 15, ALLOW),
                (16, 9, errno(libc::EPROTONOSUPPORT)),
                (16, 12, errno(libc::EPROTONOSUPPORT)),
                (17, 0, errno(libc::EAFNOSUPPORT)),
                (38, 0, errno(libc::EAFNOSUPPORT)),
                (40, 0, errno(libc::EAFNOSUPPORT)),
            ] {
                assert_eq!(
                    ask(&strict, "socket", [family, 1, protocol]),
                    wanted,
                    "{family} {protocol}"
                );
            }
            assert_eq!(ask(&nested, "socket", [16, 3, 12]), ALLOW, "nftables of containers");
            assert_eq!(ask(&nested, "socket", [40, 1, 0]), errno(libc::EAFNOSUPPORT));
            assert_eq!(ask(&strict, "ioctl", [0, 0x5412, 0]), eperm);
            assert_eq!(ask(&strict, "ioctl", [0, 0x541c, 0]), eperm);
            assert_eq!(ask(&strict, "ioctl", [0, 0x5413, 0]), ALLOW);
            for (persona, wanted) in [
                (0, ALLOW),
                (u32::MAX, ALLOW),
                (0x004_0000, ALLOW),
                (0x8, ALLOW),
                (0x040_0000, eperm),
                (6, eperm),
            ] {
                assert_eq!(ask(&strict, "personality", [persona, 0, 0]), wanted, "{persona:x}");
            }
        }
    }

    /// The table has numbers for two architectures; those of this one are compared with the system's own.
    #[test]
    fn numbers_are_those_of_this_system() {
        let known = [
            ("ioctl", libc::SYS_ioctl),
            ("socket", libc::SYS_socket),
            ("socketpair", libc::SYS_socketpair),
            ("clone", libc::SYS_clone),
            ("clone3", libc::SYS_clone3),
            ("unshare", libc::SYS_unshare),
            ("setns", libc::SYS_setns),
            ("personality", libc::SYS_personality),
            ("mount", libc::SYS_mount),
            ("umount2", libc::SYS_umount2),
            ("pivot_root", libc::SYS_pivot_root),
            ("open_tree", libc::SYS_open_tree),
            ("move_mount", libc::SYS_move_mount),
            ("fsopen", libc::SYS_fsopen),
            ("fsconfig", libc::SYS_fsconfig),
            ("fsmount", libc::SYS_fsmount),
            ("fspick", libc::SYS_fspick),
            ("mount_setattr", libc::SYS_mount_setattr),
            ("kexec_load", libc::SYS_kexec_load),
            ("init_module", libc::SYS_init_module),
            ("finit_module", libc::SYS_finit_module),
            ("delete_module", libc::SYS_delete_module),
            ("bpf", libc::SYS_bpf),
            ("perf_event_open", libc::SYS_perf_event_open),
            ("userfaultfd", libc::SYS_userfaultfd),
            ("add_key", libc::SYS_add_key),
            ("request_key", libc::SYS_request_key),
            ("keyctl", libc::SYS_keyctl),
            ("open_by_handle_at", libc::SYS_open_by_handle_at),
            ("swapon", libc::SYS_swapon),
            ("swapoff", libc::SYS_swapoff),
            ("reboot", libc::SYS_reboot),
            ("settimeofday", libc::SYS_settimeofday),
            ("clock_settime", libc::SYS_clock_settime),
            ("clock_adjtime", libc::SYS_clock_adjtime),
            ("adjtimex", libc::SYS_adjtimex),
            ("acct", libc::SYS_acct),
            ("quotactl", libc::SYS_quotactl),
            ("quotactl_fd", libc::SYS_quotactl_fd),
            ("nfsservctl", libc::SYS_nfsservctl),
            ("lookup_dcookie", libc::SYS_lookup_dcookie),
            ("syslog", libc::SYS_syslog),
            ("io_uring_setup", libc::SYS_io_uring_setup),
            ("io_uring_enter", libc::SYS_io_uring_enter),
            ("io_uring_register", libc::SYS_io_uring_register),
        ];
        for (name, wanted) in known {
            assert_eq!(i64::from(number(Arch::NATIVE, name)), wanted, "{name}");
        }
        #[cfg(target_arch = "x86_64")]
        for (name, wanted) in [
            ("iopl", libc::SYS_iopl),
            ("ioperm", libc::SYS_ioperm),
            ("modify_ldt", libc::SYS_modify_ldt),
            ("kexec_file_load", libc::SYS_kexec_file_load),
            ("uselib", libc::SYS_uselib),
            ("sysfs", libc::SYS_sysfs),
            ("_sysctl", libc::SYS__sysctl),
        ] {
            assert_eq!(i64::from(number(Arch::X86_64, name)), wanted, "{name}");
        }
    }
}
