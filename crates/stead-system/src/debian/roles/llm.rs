//! Models of one's own, on the loopback or the overlay.

use super::super::hardening::{self, Needs};
use super::super::{Desired, quote, vendor};
use crate::Whole;
use stead_file::declared::Arch;

pub(super) fn render(whole: &Whole, to: &mut Desired) -> &'static [&'static str] {
    let llm = &whole.system.llm;
    if llm.cuda {
        vendor::add("nvidia", whole, to);
    }
    if llm.server == "vllm" {
        vllm(whole, to);
    } else {
        ollama(whole, to);
    }
    &[]
}

/// A unit that may use graphics cards, and makes code as it runs.
fn unit(description: &str, command: &[String], extra: &str, cuda: bool) -> String {
    let relax: Vec<String> = if cuda { vec!["PrivateDevices".into()] } else { Vec::new() };
    let devices =
        if cuda { "DeviceAllow=char-nvidia* rw\nDeviceAllow=char-nvidia-uvm rw\n" } else { "" };
    format!(
        "[Unit]\nDescription={description}\nWants=network-online.target\nAfter=network-online.target\n\n\
         [Service]\nType=exec\nExecStart={}\nDynamicUser=yes\n{extra}{devices}Restart=on-failure\nRestartSec=5\n{}\n\
         [Install]\nWantedBy=multi-user.target\n",
        quote::command(command),
        hardening::lines(Needs { network: true, jit: true, relax: &relax, ..Needs::default() })
    )
}

fn ollama(whole: &Whole, to: &mut Desired) {
    let arch = match whole.system.arch {
        Arch::X86_64 => "amd64",
        Arch::Aarch64 => "arm64",
    };
    let folder = "/opt/stead/ollama";
    let address = format!("https://ollama.com/download/ollama-linux-{arch}.tar.zst");
    let script = "mkdir -p \"$1\" && curl -fsSL --retry 3 -- \"$2\" | tar --zstd -x -C \"$1\"";
    to.package(&["zstd"]);
    to.task(
        "Ollama",
        Some(&format!("{folder}/bin/ollama")),
        &["sh", "-c", script, "fetch", folder, &address],
        &["rm", "-rf", folder],
    );
    to.links.insert("/usr/local/bin/ollama".into(), format!("{folder}/bin/ollama").into());
    let state = format!(
        "StateDirectory=ollama\nEnvironment=HOME=/var/lib/ollama\nEnvironment=OLLAMA_HOST={}:11434\n",
        whole.models_at()
    );
    let serve = [format!("{folder}/bin/ollama"), "serve".into()];
    to.unit(
        "stead-ollama.service",
        unit("Models, at port 11434", &serve, &state, whole.system.llm.cuda),
    );
    to.started("stead-ollama.service", "multi-user.target", false);
    for model in &whole.system.llm.models {
        let model = quote::plain(model);
        to.task_after(
            format!("model {model}"),
            None,
            &["sh", "-c", "for _ in 1 2 3 4 5; do /opt/stead/ollama/bin/ollama pull \"$1\" && exit; sleep 3; done; exit 1", "pull", &model],
            &["/opt/stead/ollama/bin/ollama", "rm", &model],
        );
    }
}

fn vllm(whole: &Whole, to: &mut Desired) {
    to.package(&["python3-venv", "python3-dev", "build-essential"]);
    let folder = "/opt/stead/vllm";
    to.task(
        "vLLM",
        Some(&format!("{folder}/bin/vllm")),
        &[
            "sh",
            "-c",
            "python3 -m venv \"$1\" && \"$1/bin/pip\" install --quiet vllm",
            "pip",
            folder,
        ],
        &["rm", "-rf", folder],
    );
    let Some(model) = whole.system.llm.models.first() else {
        to.remarks.push("vLLM serves the first of `models`, and there is none".into());
        return;
    };
    let state = "StateDirectory=vllm\nEnvironment=HOME=/var/lib/vllm\nEnvironment=HF_HOME=/var/lib/vllm/models\n";
    let serve: Vec<String> = [
        &*format!("{folder}/bin/vllm"),
        "serve",
        &quote::plain(model),
        "--host",
        &whole.models_at().to_string(),
        "--port",
        "8000",
    ]
    .map(str::to_owned)
    .into();
    to.unit(
        "stead-vllm.service",
        unit("Models, at port 8000", &serve, state, whole.system.llm.cuda),
    );
    to.started("stead-vllm.service", "multi-user.target", false);
}
