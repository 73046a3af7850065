"""The probes on a second, plain address, where the first one requires client certificates."""

import shutil
import ssl
from pathlib import Path

import httpx
import pytest
import trustme
from processes import Exporter, free_port, wait_until

EXAMPLE = Path(__file__).parents[3] / "deploy" / "web-config" / "mtls.yml"


def test_probes_need_no_certificate_and_find_nothing_else(tmp_path: Path) -> None:
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    leaf = authority.issue_cert("127.0.0.1", key_type=trustme.KeyType.ECDSA)
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "tls.crt")
    leaf.private_key_pem.write_to_path(tmp_path / "tls.key")
    authority.cert_pem.write_to_path(tmp_path / "client-ca.crt")
    shutil.copy(EXAMPLE, tmp_path / "web.yml")
    port = free_port()

    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    def get(path: str) -> int:
        return httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False, timeout=10).status_code

    with Exporter(
        "--demo",
        f"--web.config.file={tmp_path / 'web.yml'}",
        "--web.listen-address=127.0.0.1:0",
        f"--probe.listen-address=127.0.0.1:{port}",
    ) as exporter:
        wait_until(lambda: get("/-/ready") == 200)
        assert get("/-/healthy") == 200
        assert [get(path) for path in ("/metrics", "/", "/api/v1/keys", "/-/reload")] == [404] * 4
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{exporter.url}/-/healthy", verify=trusting, trust_env=False, timeout=10)
        assert exporter.stop() == 0
