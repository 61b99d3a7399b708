"""Reads metrics in Prometheus' text format from standard input with Prometheus' own client, and prints as JSON what it
understood: for each metric its name, type and help, and its samples as [name, labels, value]."""

import json
import sys

from prometheus_client.parser import text_string_to_metric_families

print(json.dumps([
    {
        "name": family.name,
        "type": family.type,
        "help": family.documentation,
        "samples": [[sample.name, sample.labels, sample.value] for sample in family.samples],
    }
    for family in text_string_to_metric_families(sys.stdin.read())
]))
