//! `stead system render`: systems as files.

use super::super::{print, print_json};
use super::{all, claude_home, whole};
use crate::cli::{Render, To};
use crate::failure::{Failure, Outcome};
use crate::stead_file::{self, SteadFile};
use ::stead_file::declared::Os;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use stead_system::nixos::{Options, Written};
use stead_system::{File, Tree, Whole, debian, nixos};

pub fn run(args: &Render) -> Outcome {
    let file = stead_file::read(args.file.file.as_deref())?;
    let (wholes, folder) = match (&args.name, &args.folder) {
        (Some(_), Some(_)) if args.all => {
            return Err(Failure::misused("--all takes every system, and only a folder besides"));
        }
        (Some(name), folder) if !args.all => (vec![whole(&file, name)?], folder.clone()),
        (folder, _) => (all(&file), folder.as_ref().map(PathBuf::from)),
    };
    let folder = folder.unwrap_or_else(|| PathBuf::from("system"));
    if wholes.is_empty() {
        return Err(Failure::misused(format!("{} declares no system", file.owner))
            .help("declare one with [systems.NAME]"));
    }
    let to = |whole: &Whole| match args.to {
        Some(To::Nixos) => Os::Nixos,
        Some(To::Debian) => Os::Debian,
        None => whole.system.os,
    };
    let (on_nixos, on_debian): (Vec<Whole>, Vec<Whole>) =
        wholes.into_iter().partition(|whole| to(whole) == Os::Nixos);
    let mut tree = Tree::new();
    for remark in on_nixos.iter().filter_map(|whole| elsewhere(&file, whole)) {
        eprintln!("{remark}");
    }
    if !on_nixos.is_empty() {
        tree.extend(flake(&file.declaration.name, &on_nixos)?);
    }
    for whole in &on_debian {
        tree.extend(user_data(whole)?);
    }
    let written = write(&tree, &folder)?;
    if args.json.json {
        print_json(&written)?;
        return Ok(0);
    }
    for (paths, what) in [(&written.written, "written"), (&written.removed, "removed")] {
        for path in paths {
            print(format!("{what}  {}\n", folder.join(path).display()).as_bytes())?;
        }
    }
    for path in &written.left {
        let path = folder.join(path);
        print(format!("left     {} is yours: it was changed since\n", path.display()).as_bytes())?;
    }
    if written.written.is_empty() && written.removed.is_empty() {
        print(format!("{} is as declared\n", folder.display()).as_bytes())?;
    }
    Ok(0)
}

/// Why a hypervisor's flake has none of the file's virtual machines.
fn elsewhere(file: &SteadFile, hypervisor: &Whole) -> Option<String> {
    let machines = file.declaration.machines.iter().filter(|(_, it)| it.engine == "qemu");
    let names: Vec<&str> = machines.map(|(name, _)| name.as_str()).collect();
    (hypervisor.has("hypervisor") && !names.is_empty()).then(|| {
        format!(
            "{}: {} are not among its `microvm.vms`: Stead's own engine runs them, wherever `stead apply` is run, and \
             microvm.nix would run them a second time; what it is to run goes into a module that `nixos.modules` names",
            hypervisor.hostname(),
            names.join(", ")
        )
    })
}

/// The flake of these systems.
///
/// # Errors
/// If something of the user's that belongs in it cannot be read, or it cannot be rendered.
pub fn flake(name: &str, wholes: &[Whole]) -> Result<Tree, Failure> {
    let mut options = Options { name: name.to_owned(), ..Options::default() };
    for whole in wholes {
        for path in &whole.system.nixos.modules {
            options.modules.insert(path.clone(), text(path)?);
        }
        if let Some(home) = &whole.system.agents.claude_home {
            let files = claude_home::files(whole)?;
            let texts: BTreeMap<PathBuf, String> =
                files.into_iter().map(|(path, file)| (path, file.text)).collect();
            options.claude.insert(home.clone(), texts);
            let servers = claude_home::servers(whole)?;
            for remark in &servers.remarks {
                eprintln!("{remark}");
            }
            options.servers.insert(home.clone(), servers);
        }
    }
    nixos::render(wholes, &options).map_err(|e| Failure::misused(e.to_string()))
}

/// A machine's user-data, and below `root` what `switch` would write.
fn user_data(whole: &Whole) -> Result<Tree, Failure> {
    let fragments: Vec<String> =
        whole.system.debian.cloud_init.iter().map(|path| text(path)).collect::<Result<_, _>>()?;
    let folder = PathBuf::from(whole.hostname());
    let claude = claude_home::files(whole)?;
    let servers = claude_home::servers(whole)?;
    let first = debian::render_first(whole).with_claude_home(&claude).with_servers(&servers);
    let data = debian::user_data_with(&first, &fragments);
    let mut tree = Tree::from([(folder.join("user-data"), File::private(data))]);
    let desired = debian::render(whole).with_claude_home(&claude).with_servers(&servers);
    for remark in &first.remarks {
        eprintln!("{}: {remark}", whole.machine);
    }
    for (path, file) in desired.files {
        let within = path.strip_prefix("/").unwrap_or(&path);
        tree.insert(folder.join("root").join(within), file);
    }
    Ok(tree)
}

/// Writes a tree around what a person has taken over.
///
/// # Errors
/// If the folder cannot be written to.
pub fn write(tree: &Tree, folder: &Path) -> Result<Written, Failure> {
    nixos::write(tree, folder)
        .map_err(|e| Failure::failed(format!("cannot write {}: {e}", folder.display())))
}

fn text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|e| Failure::failed(format!("cannot read {}: {e}", path.display())))
}
