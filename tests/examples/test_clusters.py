"""What the files for clusters run, with a stand-in for what they run it by."""

import json
import os
import subprocess
from pathlib import Path

import yaml

CLUSTERS = Path(__file__).parents[2] / "examples" / "clusters"


def run(command, folder, **environment):
    path = {"PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(
        command,
        env=os.environ | path | environment,
        capture_output=True,
        text=True,
    )


def write_command(path, script):
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_slurm_starts_again_until_it_is_done(tmp_path):
    # Fails but for the third time.
    write_command(
        tmp_path / "srun",
        'echo "$@"; echo >> tries; test $(wc -l < tries) = 3',
    )
    done = run(
        ["sh", "-c", f"cd {tmp_path}; bash {CLUSTERS}/slurm.sbatch a.yaml x=1"],
        tmp_path,
        PAUSE="0",
    )
    assert done.returncode == 0, done.stderr
    command = (
        "--kill-on-bad-exit=1 keras-recurrent train a.yaml x=1 "
        "training.strategy=multi_worker"
    )
    assert done.stdout.splitlines() == 3 * [command]


def test_slurm_gives_up(tmp_path):
    write_command(tmp_path / "srun", "exit 2")
    done = run(["bash", f"{CLUSTERS}/slurm.sbatch"], tmp_path, PAUSE="0")
    assert done.returncode == 1
    assert "Try 5 has failed" in done.stderr


def test_kubernetes_tells_each_pod_the_cluster(tmp_path):
    text = (CLUSTERS / "kubernetes.yaml").read_text()
    service, job = yaml.safe_load_all(text)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environment = {one["name"]: one["value"] for one in container["env"]}
    write_command(tmp_path / "keras-recurrent", 'echo "$TF_CONFIG"; echo "$@"')
    done = run(
        [*container["command"], *container["args"]],
        tmp_path,
        **environment,
        JOB_COMPLETION_INDEX="1",
    )
    config, command = done.stdout.splitlines()
    # As Kubernetes names the pods of a job, by its index and its service.
    name, port = job["metadata"]["name"], container["ports"][0]["containerPort"]
    assert pod["subdomain"] == service["metadata"]["name"]
    count = job["spec"]["completions"]
    assert json.loads(config) == {
        "cluster": {
            "worker": [
                f"{name}-{index}.{pod['subdomain']}:{port}"
                for index in range(count)
            ]
        },
        "task": {"type": "worker", "index": 1},
    }
    assert job["spec"]["parallelism"] == count == int(environment["WORKERS"])
    assert command.startswith("train /shared/recipe.yaml --run /shared/runs/")
    assert service["spec"]["selector"] == {"job-name": name}
