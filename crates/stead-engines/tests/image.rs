//! Images, made by a stand-in for mmdebstrap; and by the real one where it is asked for.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use stead_engines::sandbox::image::{ImageError, Tools, check_with, ensure, ensure_with};

struct Lab(tempfile::TempDir);

impl Lab {
    /// A folder with a stand-in, if this user may make images.
    fn new(script: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: only root makes images");
            return None;
        }
        let lab = Self(tempfile::tempdir().unwrap());
        lab.program("mmdebstrap", script);
        Some(lab)
    }

    fn program(&self, name: &str, script: &str) {
        let bin = self.0.path().join("bin");
        fs::create_dir_all(&bin).unwrap();
        fs::write(bin.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn images(&self) -> PathBuf {
        self.0.path().join("images")
    }

    fn tools(&self) -> Tools {
        tools(self.0.path())
    }
}

fn tools(lab: &Path) -> Tools {
    let mut path = OsString::from(lab.join("bin"));
    path.push(":/usr/bin:/bin");
    Tools { path, apt: lab.join("apt") }
}

/// Writes down what it was asked, makes a root and says something.
const GOOD: &str = r#"echo "$@" >> "$(dirname "$0")/asked"; for a; do case $a in *.part) part=$a;; esac; done
mkdir "$part" && mkdir "$part/etc" && echo 12 > "$part/etc/debian_version" && echo host > "$part/etc/hostname"
echo "I: done""#;

#[test]
fn an_image_is_made_once() {
    let Some(lab) = Lab::new(GOOD) else { return };
    let steps = RefCell::new(Vec::new());
    let step = |line: &str| steps.borrow_mut().push(line.to_owned());
    let image = ensure_with(&lab.images(), "debian/12", &step, &lab.tools()).unwrap();
    assert_eq!(image, lab.images().join("debian-12"));
    assert_eq!(fs::read_to_string(image.join("etc/debian_version")).unwrap(), "12\n");
    assert!(!image.join("etc/hostname").exists());
    assert_eq!(*steps.borrow(), ["I: done"]);
    assert_eq!(
        ensure_with(&lab.images(), "debian/bookworm", &|_| {}, &lab.tools()).unwrap(),
        image
    );
    let asked = fs::read_to_string(lab.0.path().join("bin/asked")).unwrap();
    assert_eq!(asked.lines().count(), 1, "it was made twice: {asked}");
    assert!(
        asked.contains("--variant=minbase") && asked.contains("bookworm-security main"),
        "{asked}"
    );
    assert_eq!(fs::metadata(lab.images()).unwrap().permissions().mode() & 0o777, 0o700);
    let left: Vec<_> =
        fs::read_dir(lab.images()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "the image and its lock: {left:?}");
}

#[test]
fn a_failure_tells_the_last_lines_and_can_be_tried_again() {
    let Some(lab) =
        Lab::new("mkdir -p \"$5\"; for i in 1 2 3 4 5 6 7 8 9; do echo line $i >&2; done; exit 3")
    else {
        return;
    };
    let error =
        ensure_with(&lab.images(), "debian/12", &|_| {}, &lab.tools()).unwrap_err().to_string();
    assert!(
        error.contains("line 9") && !error.contains("line 1\n") && error.contains("exit status: 3"),
        "{error}"
    );
    lab.program("mmdebstrap", GOOD);
    ensure_with(&lab.images(), "debian/12", &|_| {}, &lab.tools()).unwrap();
}

#[test]
fn what_is_missing_is_said() {
    let Some(lab) = Lab::new(GOOD) else { return };
    for name in ["debian/1", "debian", "ubuntu/24.04", "debian/../x", ""] {
        let error = ensure_with(&lab.images(), name, &|_| {}, &lab.tools()).unwrap_err();
        assert!(matches!(error, ImageError::Unknown(_)), "{error}");
        let error = check_with(&lab.images(), name, &lab.tools()).unwrap_err();
        assert!(matches!(error, ImageError::Unknown(_)), "{error}");
    }
    check_with(&lab.images(), "debian/12", &lab.tools()).unwrap();
    fs::remove_file(lab.0.path().join("bin/mmdebstrap")).unwrap();
    let none = Tools { path: lab.0.path().join("bin").into(), ..lab.tools() };
    let error = ensure_with(&lab.images(), "debian/12", &|_| {}, &none).unwrap_err().to_string();
    assert!(error.contains("apt install mmdebstrap"), "{error}");
    assert_eq!(check_with(&lab.images(), "debian/12", &none).unwrap_err().to_string(), error);
    fs::create_dir_all(lab.images().join("debian-12")).unwrap();
    check_with(&lab.images(), "debian/12", &none).expect("one that is made needs no program");
    fs::remove_dir_all(lab.images()).unwrap();
    assert!(!lab.images().exists());
    lab.program("debootstrap", "mkdir -p \"$4/etc/apt\"");
    let only = Tools { path: lab.tools().path, apt: lab.0.path().join("apt") };
    if !Path::new("/usr/bin/mmdebstrap").exists() {
        let image = ensure_with(&lab.images(), "debian/13", &|_| {}, &only).unwrap();
        assert!(
            fs::read_to_string(image.join("etc/apt/sources.list"))
                .unwrap()
                .contains("trixie-updates")
        );
    }
}

#[test]
fn several_at_once_make_one() {
    let Some(lab) = Lab::new(GOOD) else { return };
    std::thread::scope(|scope| {
        let one = || ensure_with(&lab.images(), "debian/12", &|_| {}, &lab.tools()).unwrap();
        let all: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
        for one in all {
            assert!(one.join().unwrap().is_dir());
        }
    });
    assert_eq!(fs::read_to_string(lab.0.path().join("bin/asked")).unwrap().lines().count(), 1);
}

/// Not a test of its own: makes an image and is killed meanwhile.
#[test]
fn child() {
    let Some(lab) = std::env::var_os("STEAD_TEST_LAB").map(PathBuf::from) else { return };
    let _ =
        ensure_with(&lab.join("images"), "debian/12", &|line| println!("\n<{line}>"), &tools(&lab));
}

#[test]
fn a_kill_leaves_nothing_that_lasts() {
    // It mounts something in the image, as the real one does, and would go on for long.
    let script = "for a; do case $a in *.part) p=$a;; esac; done; mkdir -p $p/proc; \
        mount -t tmpfs none $p/proc && : > $p/proc/mine; echo half; sleep 1000; touch $p/late";
    let Some(lab) = Lab::new(script) else { return };
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env("STEAD_TEST_LAB", lab.0.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "<half>"));
    let part = lab.images().join("debian-12.part");
    assert!(
        part.join("proc").is_dir() && !part.join("proc/mine").exists(),
        "its mounts are its own"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    lab.program("mmdebstrap", GOOD);
    let image = ensure_with(&lab.images(), "debian/12", &|_| {}, &lab.tools()).unwrap();
    assert!(image.join("etc/debian_version").exists() && !image.join("proc").exists());
    assert!(!part.exists());
}

#[test]
fn the_real_thing() {
    if std::env::var_os("STEAD_TEST_MIRROR").is_none() {
        eprintln!(
            "SKIPPED: set STEAD_TEST_MIRROR to make a real image from the host's mirror (a minute)"
        );
        return;
    }
    let images = tempfile::tempdir().unwrap();
    let start = std::time::Instant::now();
    let image = ensure(images.path(), "debian/12", &|line| eprintln!("{line}")).unwrap();
    eprintln!("made in {:?}", start.elapsed());
    let inside = |script: &str| {
        let output = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "chroot"])
            .arg(&image)
            .args(["sh", "-euc", script])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let seen = inside(
        "cat /etc/debian_version; git --version; curl --version; python3 -V; stat -c %u:%g / /etc /bin/sh; \
        ls -A /proc /sys; test ! -e /etc/resolv.conf; cat /etc/apt/sources.list",
    );
    eprintln!("{seen}");
    assert!(seen.starts_with("12.") && seen.contains("git version") && seen.contains("0:0"));
    assert!(!fs::read_to_string("/proc/self/mountinfo").unwrap().contains(image.to_str().unwrap()));
}
