"""The list of clients: what each lacks is what its probes have shown."""

from __future__ import annotations

from lab.clients.features import conclude
from lab.corpus import Corpus
from lab.inventory import client_table, clients_json
from lab.ledger import RunRecord
from lab.model.result import Observation, Observed, Witness
from tests.report import synthetic


def test_lacks():
    """A client lists the features that it is proven to lack, and neither what it has nor what nobody knows."""
    observed = {"tls1.3": Observed.REJECTED, "ec384": Observed.ACCEPTED, "ed25519": Observed.TIMEOUT}
    probes = [conclude("bearssl-0.6", name, Observation(observed=one), Witness()) for name, one in observed.items()]
    run = synthetic.example().run
    record = RunRecord(run=run, columns=(), controls=(), exhibits=(), cells=(), features=tuple(probes))
    corpus = Corpus()
    lacks = {client["name"]: client["lacks"] for client in clients_json(corpus, record)["clients"]}
    assert lacks["bearssl-0.6"] == ["tls1.3"]
    assert lacks["openssl-1.0.2q"] == []
    assert "lacks" in [column.header for column in client_table(corpus, record).columns]
