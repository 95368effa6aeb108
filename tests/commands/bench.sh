#!/usr/bin/env bash
# The benchmark as a command: a short run of one case, its JSON, and the pages of bench/report and bench/plot for it.
# BUILD is a release with the benchmarks.
set -euo pipefail

fail() {
  echo "$*"
  exit 1
}

export URING6_BENCH_BUILD=$BUILD
cd "$SCRATCH"
bench=$SOURCE/bench

cases=$("$bench/run" --list) || fail "bench/run --list ends with $?"
for name in drain-64-cm train-64 send-64-run echo-block echo-run echo-peers-loops dns forward sockets-10000 two-loops tcp-echo-64; do
  grep -qx "$name" <<<"$cases" || fail "bench/run --list does not name $name"
done
status=0
said=$("$bench/run" --case no-such-case 2>&1) || status=$?
[[ $status == 2 && $said == *"no such case"* ]] || fail "a case that is not there: $status, $said"

"$bench/run" --quick --case train-64 --case echo-block --subject "raw gro" --subject "raw echo" \
  --subject "raw multishot echo" --subject "uring6 receive" --subject "uring6 echo" --json result.json \
  >lines 2>&1 || fail "$(<lines)"
for line in "^train-64$" "^  uring6 receive .* ns/datagram" "^  uring6 echo \(open, 20000/s\) .*p99 " \
  "^ratios of medians$" "train-64 .*receive / raw GRO" "; raw multishot echo [0-9.]*$" \
  "^limits, " "allocations per datagram, uring6 "; do
  grep -qE "$line" lines || fail "no line matches $line in:"$'\n'"$(<lines)"
done

# With the privilege to read the kernel's tracepoints the result has the system calls, too.
export COUNTABLE=false
if [[ -r /sys/kernel/tracing/events/raw_syscalls/sys_enter/id ]] ||
  unshare --mount mount -t tracefs none /sys/kernel/tracing 2>/dev/null; then
  COUNTABLE=true
fi

python3 - <<'PYTHON' || fail "result.json is not what bench/README.md says"
import json
import os

report = json.load(open("result.json"))
assert report["schema"] == 1
assert list(report) == ["schema", "machine", "calibration", "effort", "results", "surroundings", "targets", "limits"], list(report)
for key in "cpu", "processors", "virtual_machine", "kernel", "liburing", "compiler", "build_type", "peers", "placement":
    assert key in report["machine"], key
assert report["machine"]["build_type"] == "release"
names = [(r["case"], r["subject"], r.get("load")) for r in report["results"]]
assert len(set(names)) == len(names) == 7, names
assert ("echo-block", "uring6 echo", "open, 20000/s") in names
for r in report["results"]:
    for key in ("unit", "median", "low", "high", "windows", "window_ms", "vector", "loss", "allocations_per_datagram",
                "syscalls_per_datagram", "segments_per_buffer", "cpu_ns_per_datagram"):
        assert key in r, (r["case"], r["subject"], key)
    assert "void" not in r
    assert os.environ["COUNTABLE"] == "false" or r["syscalls_per_datagram"] is not None
    assert len(r["windows"]) == report["effort"]["windows"] and r["low"] <= r["median"] <= r["high"] and r["low"] > 0
    assert r["loss"]["unexplained"] == 0 and r["loss"]["bad"] == 0
    assert r["loss"]["sent"] == r["loss"]["received"] + r["loss"]["dropped"]
    if r["case"] == "echo-block":
        assert all(key in r["percentiles"] for key in ("p50", "p99", "p99.9")), r["percentiles"]
        assert r["load"] == ("open, 20000/s" if r.get("rate") == 20000 else "closed")
for judged in report["targets"] + report["limits"]:
    assert isinstance(judged["met"], bool) and "at_most" in judged and judged["what"], judged
plain = {t["case"]: t.get("plain_c") for t in report["targets"]}
assert plain["train-64"] is None and plain["echo-block"]["subject"] == "raw multishot echo", plain
assert plain["echo-block"]["low"] <= plain["echo-block"]["ratio"] <= plain["echo-block"]["high"], plain

# The next lines must show a result that does not count.
lost = dict(report["results"][0], void="17 sent, 16 received", subject="lost subject", windows=[])
report["results"].append(lost)
# And what is not in uring6's favor: a peer that is faster, and a spin where requests are rare.
ours = next(r for r in report["results"] if r["subject"] == "uring6 echo" and r["load"] == "closed")
cpu = {"subject": 3 * ours["cpu_ns_per_datagram"]["subject"], "peer": 1}
report["results"].append(dict(ours, subject="go ReadFrom", median=ours["median"] / 2, cpu_ns_per_datagram=cpu))
report["results"].append(dict(ours, subject="libuv", median=ours["median"] * 2))
rare = {"case": "echo-adaptive", "load": "open, 2000/s", "rate": 2000, "window_ms": 50}
report["results"].append(dict(ours, **rare, cpu_ns_per_datagram=cpu))
report["results"].append(dict(ours, **rare, subject="raw echo"))
report["machine"]["peers"] = {"Asio": "1.2.3", "Go": "4.5"}
json.dump(report, open("with-void.json", "w"))
PYTHON

printf 'before\n<!-- bench: begin -->\nold\n<!-- bench: end -->\nafter\n' | tee page.md >readme.md
"$bench/report" with-void.json page.md readme.md || fail "bench/report ends with $?"
for line in "^before$" "^after$" "^Measured on the loopback interface of a .* \(\`echo-adaptive\`: 50 ms\)" "^\| train-64 \| receive / raw GRO \| \*\*" \
  "^\| echo-block \| uring6 echo, open, 20000/s \| .* / .* / " "^\| train-64 \| lost subject \| void: 17 sent" \
  "^\| echo-block \| p50 / raw blocking echo \| .* \| [0-9.]+ \(raw multishot echo\) \|$" \
  "^\| [^|]* \| allocations per datagram, uring6 "; do
  grep -qE "$line" page.md || fail "bench/report: no line matches $line in:"$'\n'"$(<page.md)"
done
for page in page.md readme.md; do
  for text in "on the loopback interface of a " "Asio 1.2.3, Go 4.5" \
    "to that of uring6's best subject: \`echo-block\`, closed: go ReadFrom 0.500 (processor time 3.00)." \
    "\`echo-adaptive\`: at 2,000 requests a second p50 1.00, p99 1.00, p99.9 1.00, processor time 3.00."; do
    grep -qF "$text" "$page" || fail "bench/report: $page has no $text:"$'\n'"$(<"$page")"
  done
done
grep -q '^old$' page.md && fail "bench/report leaves the old table"
for line in "^before$" "^after$" "^Medians of one full run" "^\| echo-block \| p50 / raw blocking echo \| \*\*[0-9.]+\*\* \| [0-9.]+ \| (not )?met \|$"; do
  grep -qE "$line" readme.md || fail "bench/report: no line of the ten ratios matches $line in:"$'\n'"$(<readme.md)"
done
grep -q "^| train-64 | receive / raw GRO |" readme.md && fail "bench/report gives the README more than its ten ratios"
echo "no markers" >other.md
"$bench/report" result.json other.md 2>/dev/null && fail "bench/report takes a page without markers"

# A ratio whose name has changed would be missing in the README.
python3 - "$bench" <<'PYTHON' || fail "bench/report names ratios that harness/targets.cpp does not have"
import pathlib
import re
import sys

bench = pathlib.Path(sys.argv[1])
targets = re.findall(r'{"([^"]+)",\s*"([^"]+)"', (bench / "harness" / "targets.cpp").read_text())
rows = re.findall(r'^    \("([^"]+)", "([^"]+)"\),$', (bench / "report").read_text(), re.MULTILINE)
gone = set(rows) - set(targets)
sys.exit(f"{gone}" if gone or len(rows) != 10 else 0)
PYTHON

# The growth table needs a network namespace, which this process may not be allowed to make.
"$bench/run" --growth --case peers-1 2>said && fail "bench/run --growth runs without its network"
grep -q "run bench/growth" said || fail "bench/run --growth does not say what it needs: $(<said)"
if unshare --net true 2>/dev/null || unshare --user --map-root-user --net true 2>/dev/null; then
  points=(peers-1 peers-100000 conns-10 conns-1000 loops-1 loops-2 payload-0 payload-65527)
  "$bench/growth" --json growth.json $(printf -- '--case %s ' "${points[@]}") >lines 2>&1 || fail "bench/growth: $(<lines)"
  printf '<!-- growth: begin -->\nold\n<!-- growth: end -->\n' >growth.md
  "$bench/report" --growth growth.json growth.md || fail "bench/report --growth ends with $?"
  for line in "^Measured on the loopback interface of a " "^\| (1|100,000) \| [0-9.,]+ \| [0-9.,]+ \| [0-9.]+ \|$" "^\| (10|1,000) \| " \
    "^\| 2 \| " "^\| 0 \| " "^\| 65,527 \| [0-9.,]+ \| [0-9.,]+ \| [0-9.]+ \|$"; do
    grep -qE "$line" growth.md || fail "bench/report --growth: no line matches $line in:"$'\n'"$(<growth.md)"
  done
  grep -qE '^old$|void' growth.md && fail "bench/report --growth: $(<growth.md)"
fi

"$bench/dnsperf" --nsd "" 2>said && fail "bench/dnsperf runs without NSD"
grep -q "apt install nsd" said || fail "bench/dnsperf does not say what it needs: $(<said)"

if command -v gnuplot >/dev/null; then
  "$bench/plot" with-void.json result.svg || fail "bench/plot ends with $?"
  for text in "<svg" "train-64" "uring6 receive" "lost subject: void"; do
    grep -q "$text" result.svg || fail "bench/plot: the picture does not hold $text"
  done
else
  "$bench/plot" with-void.json result.svg 2>said && fail "bench/plot succeeds without gnuplot"
  grep -q "gnuplot-nox" said || fail "bench/plot does not say what it needs: $(<said)"
fi
