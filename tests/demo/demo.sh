#!/usr/bin/env bash
# The whole path on a real API server: install, apply, see health, post alerts, see who got them.
#
#   make demo             show it and clean up
#   make demo KEEP=1      leave everything running and print what to try; make demo-stop ends it
#   KUBECONFIG=… make demo   use that cluster instead of a control plane built from source
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
keep=${KEEP:-}
work=$root/target/demo
bin=$root/target/controlplane
namespace=fanfare
user_cluster=${KUBECONFIG:-}
installed=""
crds_were_there=""
namespace_was_there=""

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold="" plain=""; fi
step() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
show() { printf '%s$ %s%s\n' "$bold" "$*" "$plain"; "$@"; }
fail() { printf '\ndemo: %s\n' "$*" >&2; exit 1; }

# stop NAME: ends what `start` began, and waits until it has ended.
stop() {
  local pid file=$work/$1.pid
  [ -f "$file" ] || return 0
  pid=$(cat "$file")
  rm -f "$file"
  kill -TERM "$pid" 2>/dev/null || return 0
  for _ in $(seq 400); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.1; done
  kill -KILL "$pid" 2>/dev/null || true
}

stop_all() {
  stop operator
  # A control plane of our own is thrown away as a whole; a user's cluster gets back what it was.
  if [ -n "$user_cluster" ] && [ -n "$installed" ]; then
    kubectl delete -n "$namespace" -f examples/quickstart --ignore-not-found --wait=false >/dev/null 2>&1 || true
    helm uninstall fanfare -n "$namespace" >/dev/null 2>&1 || true
    # The chart keeps its CRDs on purpose; a demo that brought them takes them away again.
    [ -n "$crds_were_there" ] || kubectl delete --wait=false -f crds >/dev/null 2>&1 || true
    [ -n "$namespace_was_there" ] || kubectl delete --wait=false namespace "$namespace" >/dev/null 2>&1 || true
  fi
  stop receivers
  stop controlplane
  # They hold credentials of whatever cluster was used.
  rm -f "$work"/*.kubeconfig
}

finish() {
  local status=$?
  trap - EXIT INT TERM
  if [ "$status" -ne 0 ]; then
    [ -f "$work/operator.log" ] && { echo "demo: the end of the operator's log ($work/operator.log):"; tail -n 20 "$work/operator.log"; } >&2
    if [ -n "$keep" ]; then
      echo "demo: KEEP=1: left as it is; make demo-stop ends it" >&2
      exit "$status"
    fi
  fi
  if [ -z "$keep" ]; then
    step "Cleaning up"
    stop_all
    if [ "$status" -eq 0 ]; then echo "Done: everything that was started is stopped."; fi
  fi
  exit "$status"
}

# start NAME COMMAND...: in the background; it ends with this script, however that ends, unless it
# is kept. Its standard input is a pipe that only this script holds open.
start() {
  local name=$1
  shift
  if [ -n "$keep" ]; then
    nohup "$@" </dev/null >"$work/$name.out" 2>"$work/$name.err" 8>&- &
  else
    "$@" <"$work/alive" >"$work/$name.out" 2>"$work/$name.err" 8>&- &
  fi
  echo $! >"$work/$name.pid"
}
detached() { [ -z "$keep" ] || printf -- '-detached'; }

export HELM_CACHE_HOME=$work/helm HELM_CONFIG_HOME=$work/helm HELM_DATA_HOME=$work/helm
# Without descriptor 8 (see start): a client that outlives this script must not keep the rest alive.
kubectl() { command "${KUBECTL:-$bin/kubectl}" "$@" 8>&-; }
helm() { command "${HELM:-$bin/helm}" "$@" 8>&-; }
receivers() { command "$work/receivers" "$@" 8>&-; }

mkdir -p "$work"
if [ "${1:-}" = stop ]; then
  export KUBECONFIG=$work/admin.kubeconfig
  if [ -f "$work/cluster" ]; then
    # shellcheck source=/dev/null
    . "$work/cluster"
    rm -f "$work/cluster"
  fi
  stop_all
  echo "The demo is stopped."
  exit 0
fi

for tool in cargo go cc; do
  command -v "$tool" >/dev/null || fail "$tool is missing: the demo needs Rust, Go, make and a C compiler"
done
for name in operator receivers controlplane; do
  if [ -f "$work/$name.pid" ] && kill -0 "$(cat "$work/$name.pid")" 2>/dev/null; then
    fail "an earlier demo still runs: make demo-stop ends it"
  fi
done
rm -rf "$work"
mkdir -p "$work"
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step "Building Fanfare (the first time 2 to 5 minutes)"
cargo build --locked
(cd tests/demo/receivers && go build -o "$work/receivers" .)

mkfifo "$work/alive"
exec 8<>"$work/alive"
if [ -n "$user_cluster" ]; then
  step "Using the cluster of KUBECONFIG=$user_cluster"
  KUBECTL=$(type -P kubectl || true) HELM=$(type -P helm || true)
  if [ -z "$KUBECTL" ] || [ -z "$HELM" ]; then
    bash tests/controlplane/build.sh "$bin"
    KUBECTL=$bin/kubectl HELM=$bin/helm
  fi
  if helm status fanfare -n "$namespace" >/dev/null 2>&1; then
    fail "release fanfare is already installed in namespace $namespace: the demo would change it"
  fi
  if kubectl get crd publishtargets.fanfare.dev >/dev/null 2>&1; then crds_were_there=1; fi
  if kubectl get namespace "$namespace" >/dev/null 2>&1; then namespace_was_there=1; fi
else
  step "Building a real control plane from source (the first time about 10 minutes)"
  bash tests/controlplane/build.sh "$bin"
  step "Starting kube-apiserver and etcd"
  # shellcheck disable=SC2046
  start controlplane "$bin/controlplane" -dir "$work/plane" $([ -z "$keep" ] || echo "-detached -for 4h")
  for _ in $(seq 600); do
    [ -s "$work/controlplane.out" ] && break
    kill -0 "$(cat "$work/controlplane.pid")" 2>/dev/null || fail "the control plane did not start: $(cat "$work/controlplane.err")"
    sleep 0.1
  done
  [ -s "$work/controlplane.out" ] || fail "the control plane is not ready after a minute: see $work/plane/*.log"
  export KUBECONFIG=$work/plane/kubeconfig
fi
kubectl config view --raw --minify --flatten >"$work/admin.kubeconfig"
chmod 600 "$work/admin.kubeconfig"
export KUBECONFIG=$work/admin.kubeconfig
kubectl version

step "Installing the chart: CRDs, ServiceAccount, RBAC (no pods: the operator runs here, as a process)"
installed=1
{
  printf 'installed=1 user_cluster=%q\n' "$user_cluster"
  printf 'crds_were_there=%q namespace_was_there=%q\n' "$crds_were_there" "$namespace_was_there"
  printf 'KUBECTL=%q HELM=%q\n' "${KUBECTL:-$bin/kubectl}" "${HELM:-$bin/helm}"
} >"$work/cluster"
show helm install fanfare charts/fanfare --namespace "$namespace" --create-namespace --set replicas=0 --hide-notes
kubectl wait --for=condition=Established --timeout=30s crd/publishtargets.fanfare.dev crd/alertroutes.fanfare.dev

step "Starting the operator with the token of the chart's ServiceAccount (not admin)"
cp "$work/admin.kubeconfig" "$work/operator.kubeconfig"
admin=$(kubectl config view --minify -o jsonpath='{.contexts[0].context.user}')
token=$(kubectl create token fanfare -n "$namespace" --duration=4h)
as_operator() { KUBECONFIG=$work/operator.kubeconfig kubectl "$@"; }
as_operator config delete-user "$admin" >/dev/null
as_operator config set-credentials fanfare-operator --token="$token" >/dev/null
as_operator config set-context --current --user=fanfare-operator --namespace="$namespace" >/dev/null
as_operator auth whoami
# shellcheck disable=SC2046
start receivers "$work/receivers" serve -for 4h $(detached)
# shellcheck disable=SC2046
start operator env KUBECONFIG="$work/operator.kubeconfig" "$work/receivers" hold $(detached) "$work/operator.log" \
  "$root/target/debug/fanfare" run --log-format json --data-dir "$work/data" \
  --intake-listen 127.0.0.1:0 --api-listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 \
  --allow-cidr 127.0.0.0/8 --cluster-route-namespaces "$namespace" --pod-name demo
intake=http://$(receivers address "$work/operator.log" intake)
api=http://$(receivers address "$work/operator.log" api)
admin_url=http://$(receivers address "$work/operator.log" admin)
receivers ready "$admin_url/readyz"
kill -0 "$(cat "$work/receivers.pid")" || fail "$(cat "$work/receivers.err")"
echo "ready: intake $intake, API $api, metrics $admin_url/metrics"

step "Applying examples/quickstart: targets to five local receivers, and a route"
show kubectl apply -n "$namespace" -f examples/quickstart
show kubectl wait -n "$namespace" --for=condition=Ready --timeout=60s publishtargets --all
show kubectl wait -n "$namespace" --for=condition=Ready --timeout=60s alertroutes --all

# health: one line per target, NAME STATUS REASON STATE.
health() {
  kubectl get publishtargets -n "$namespace" -o \
    jsonpath='{range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Healthy")].status} {.status.conditions[?(@.type=="Healthy")].reason} {.status.health.state}{"\n"}{end}'
}
step "Waiting for a verdict on every target (a failing one is judged after three checks in a row)"
# Captured first: grep -q would end the pipe early, which pipefail takes for a failure.
verdicts=""
for _ in $(seq 240); do
  verdicts=$(health)
  if ! grep -qvE ' (True|False) | ProbeDisabled ' <<<"$verdicts"; then break; fi
  sleep 0.5
done
grep -q ' True ' <<<"$verdicts" || fail "no target became healthy: $verdicts"
show kubectl get publishtargets -n "$namespace"
show kubectl get alertroutes -n "$namespace"

sick=$(awk '$2 == "False" && !first {first = $1} END {print first}' <<<"$verdicts")
[ -n "$sick" ] || fail "no target became unhealthy: $verdicts"
step "Why is $sick not healthy, and what mends it?"
show kubectl describe publishtarget "$sick" -n "$namespace"

step "Posting alerts as Prometheus does, twice (Prometheus re-sends what still fires)"
alerts=(DiskFull HighLatency CertificateExpires)
receivers alerts "$intake" "${alerts[@]}"
receivers alerts "$intake" "${alerts[@]}"
receivers await healthy "${alerts[@]}" || fail "the healthy receiver did not get every alert once"
echo "The healthy receiver got each of them once."

step "Deliveries are evidence too: the target \"rejecting\" was reachable, now its credential is known to be bad"
show kubectl wait -n "$namespace" --for=condition=Healthy=false --timeout=60s publishtarget/rejecting
show kubectl get publishtargets -n "$namespace"
kubectl get publishtarget rejecting -n "$namespace" -o jsonpath='{range .status.conditions[?(@.type=="Healthy")]}{.reason}: {.message}{"\n"}{end}'

step "Publishing one alert to named targets: first past the unhealthy ones, then to all"
targets=()
for name in $(awk '{print $1}' <<<"$verdicts"); do targets+=("$namespace/$name"); done
receivers publish "$api" SkipUnhealthy PublishedToHealthy "${targets[@]}"
echo
receivers publish "$api" PublishToAll PublishedToAll "${targets[@]}"

step "What each receiver got"
receivers await healthy "${alerts[@]}" PublishedToHealthy PublishedToAll || fail "the healthy receiver got an alert twice or not at all"
receivers received

if [ -n "$keep" ]; then
  step "Left running (make demo-stop ends it; it ends by itself after 4 hours)"
  cat <<TRY
export KUBECONFIG=$work/admin.kubeconfig
export PATH=$bin:\$PATH
kubectl get ptgt,aroute -n $namespace -o wide
kubectl get ptgt -n $namespace -w
kubectl explain publishtarget.spec
kubectl patch ptgt $sick -n $namespace --type=merge -p '{"spec":{"suspend":true}}'
amtool --alertmanager.url=$intake alert add alertname=Hello severity=critical
$work/receivers received
curl $api/api/v1/targets          # and $admin_url/metrics
tail -f $work/operator.log
TRY
fi
