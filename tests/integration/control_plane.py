"""A Kubernetes API server with its etcd, on this machine's loopback: it validates and admits, and runs no pod.

The programs are looked for as controller-runtime's envtest does, in the folder that KUBEBUILDER_ASSETS names, then on
PATH; `setup-envtest use` fetches such a folder.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from benchmarks.measure.ports import free_ports
from tests.kustomize import Manifest
from tests.waiting import wait_until

TOKEN = "only-for-this-test"
APPLY = "application/apply-patch+yaml"


def program(name: str) -> str | None:
    """Where a program of Kubernetes is, or None."""
    folder = os.environ.get("KUBEBUILDER_ASSETS")
    return (shutil.which(name, path=folder) if folder else None) or shutil.which(name)


def missing() -> str | None:
    """Why there is no API server here, or None."""
    lacking = [name for name in ("etcd", "kube-apiserver") if program(name) is None]
    if not lacking:
        return None
    return f"{' and '.join(lacking)} found neither in KUBEBUILDER_ASSETS nor on PATH (setup-envtest brings them)"


class ControlPlane:
    """etcd and kube-apiserver on free ports, with everything that they write in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        etcd, peers, secure = free_ports(3)
        self.etcd_url, self.peer_url = f"http://127.0.0.1:{etcd}", f"http://127.0.0.1:{peers}"
        self.port = secure
        self.processes: list[subprocess.Popen[bytes]] = []
        self._resources: dict[str, dict[str, tuple[str, bool]]] = {}
        self._running = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start("etcd", self._etcd_options())
            self._start("kube-apiserver", self._api_options())
            certificate = self.folder / "certificates" / "apiserver.crt"
            wait_until(certificate.is_file, 30, "the API server has made its certificate")
            headers = {"Authorization": f"Bearer {TOKEN}"}
            url = f"https://127.0.0.1:{self.port}"
            self.client = httpx.Client(base_url=url, verify=str(certificate), headers=headers, timeout=60)
            self._running.callback(self.client.close)
            wait_until(self._is_ready, 90, f"the API server is ready, see {self.folder}/kube-apiserver.log", 0.5)
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def version(self) -> str:
        """Such as `v1.34.1`."""
        return str(self.client.get("/version").json()["gitVersion"])

    def path(self, item: Manifest, namespace: str) -> str:
        """Where an object is kept.

        Raises:
            KeyError: the API server knows no such kind.
        """
        return f"{self.collection(item['apiVersion'], item['kind'], namespace)}/{item['metadata']['name']}"

    def collection(self, version: str, kind: str, namespace: str) -> str:
        """Where the objects of a kind are kept."""
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        name, namespaced = self._kinds(root)[kind]
        return f"{root}/namespaces/{namespace}/{name}" if namespaced else f"{root}/{name}"

    def apply(self, item: Manifest, namespace: str = "default", **parameters: str) -> httpx.Response:
        """`kubectl apply --server-side --validate=strict`: a field that is unknown or stands twice is refused."""
        options = {"fieldManager": "test", "fieldValidation": "Strict", **parameters}
        headers = {"Content-Type": APPLY}
        return self.client.patch(self.path(item, namespace), json=item, params=options, headers=headers)

    def create(self, item: Manifest, namespace: str = "default", **parameters: str) -> httpx.Response:
        """`kubectl create`."""
        path = self.collection(item["apiVersion"], item["kind"], namespace)
        return self.client.post(path, json=item, params={"fieldValidation": "Strict", **parameters})

    def define(self, definition: Mapping[str, Any]) -> None:
        """Teach the API server a kind of object, and wait until it serves it."""
        answer = self.apply(dict(definition))
        assert answer.is_success, answer.text
        name = definition["metadata"]["name"]
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"

        def established() -> bool:
            conditions = self.client.get(path).json().get("status", {}).get("conditions") or []
            return any(entry["type"] == "Established" and entry["status"] == "True" for entry in conditions)

        wait_until(established, 30, f"{name} is served")

    def _kinds(self, root: str) -> dict[str, tuple[str, bool]]:
        if root not in self._resources:
            answer = self.client.get(root)
            listed = answer.json()["resources"] if answer.is_success else []
            found = {
                entry["kind"]: (entry["name"], entry["namespaced"]) for entry in listed if "/" not in entry["name"]
            }
            if not found:
                raise KeyError(root)
            self._resources[root] = found
        return self._resources[root]

    def _is_ready(self) -> bool:
        for process in self.processes:
            assert process.poll() is None, f"{process.args} ended, see {self.folder}"
        try:
            return self.client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def _start(self, name: str, options: Iterator[str]) -> None:
        found = program(name)
        assert found is not None, missing()
        log = self._running.enter_context((self.folder / f"{name}.log").open("wb"))
        process = subprocess.Popen([found, *options], cwd=self.folder, stdout=log, stderr=subprocess.STDOUT)
        self._running.callback(_stop, process)
        self.processes.append(process)

    def _etcd_options(self) -> Iterator[str]:
        yield f"--data-dir={self.folder / 'etcd'}"
        yield f"--listen-client-urls={self.etcd_url}"
        yield f"--advertise-client-urls={self.etcd_url}"
        yield f"--listen-peer-urls={self.peer_url}"
        yield f"--initial-advertise-peer-urls={self.peer_url}"
        yield f"--initial-cluster=default={self.peer_url}"
        yield "--unsafe-no-fsync"

    def _api_options(self) -> Iterator[str]:
        tokens, key = self.folder / "tokens.csv", self.folder / "accounts.key"
        tokens.write_text(f'{TOKEN},tester,tester,"system:masters"\n')
        pair = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        key.write_bytes(
            pair.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        yield f"--etcd-servers={self.etcd_url}"
        yield "--bind-address=127.0.0.1"
        yield "--advertise-address=127.0.0.1"
        yield f"--secure-port={self.port}"
        yield f"--cert-dir={self.folder / 'certificates'}"
        yield f"--token-auth-file={tokens}"
        yield "--authorization-mode=RBAC"
        yield "--service-cluster-ip-range=10.0.0.0/24"
        yield "--service-account-issuer=https://kubernetes.default.svc"
        yield f"--service-account-key-file={key}"
        yield f"--service-account-signing-key-file={key}"
        yield "--endpoint-reconciler-type=none"


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
