# Shared functions of deploy, rollback and teardown; sourced, never run.
# shellcheck shell=bash

namespace=lockstep
deployment=deployment/flask-app
context=${KUBE_CONTEXT:-}
cluster=${EKS_CLUSTER:-}
region=${AWS_REGION:-${AWS_DEFAULT_REGION:-}}
[ -z "$region" ] || export AWS_REGION=$region AWS_DEFAULT_REGION=$region # older and newer aws ask for one of them each
dry_run=
# shellcheck disable=SC2034 # settings that scripts/deploy hands on to pods, where they are set; secrets are not among them
settings=(MLFLOW_TRACKING_URI MLFLOW_TRACKING_USERNAME DAGSHUB_REPO LOCKSTEP_MODEL_NAME LOCKSTEP_DISPATCH_REPO
    LOCKSTEP_DISPATCH_ROWS LOCKSTEP_LOG_LEVEL)

fail() {  # fail CAUSE HINT
    printf 'error: %s\n  hint: %s\n' "$1" "$2" >&2
    exit 1
}

value() {  # value OPTION [VALUE]: the value of an option, or a complaint
    [ -n "${2:-}" ] || fail "$1 needs a value" "see $(basename "$0") --help"
    printf '%s' "$2"
}

help() {  # help FILE: the comment at its beginning
    sed -n '2,/^[^#]/{s/^# \{0,1\}//p;}' "$1"
}

need() {  # need TOOL WHERE-FROM
    command -v "$1" >/dev/null || fail "$1 is not installed" "$2"
}

run() {  # run COMMAND...: print it, and do it unless this is a dry run
    printf '+' >&2
    printf ' %q' "$@" >&2
    printf '\n' >&2
    [ -n "$dry_run" ] || "$@"
}

kube() {  # kube ARGUMENT...: kubectl in our namespace
    run kubectl ${context:+--context "$context"} --namespace "$namespace" "$@"
}

ask() {  # ask ARGUMENT...: the same for questions, which are neither printed nor left out of a dry run's way
    [ -n "$dry_run" ] || kubectl ${context:+--context "$context"} --namespace "$namespace" "$@"
}

log_in() {  # the way to an EKS cluster, if one is named; else kubectl's own
    need kubectl "https://kubernetes.io/docs/tasks/tools"
    [ -n "$cluster" ] || return 0
    need aws "pip install awscli, or https://docs.aws.amazon.com/cli"
    [ -n "$region" ] || fail "AWS_REGION is not set" "export AWS_REGION=REGION, where the cluster $cluster is"
    run aws sts get-caller-identity --output text --query Arn ||
        fail "AWS does not know who you are" "aws sso login, or set AWS_PROFILE or the AWS_ variables of a role"
    export KUBECONFIG=$PWD/build/k8s/kubeconfig
    mkdir -p build/k8s
    run aws eks update-kubeconfig --region "$region" --name "$cluster" --kubeconfig "$KUBECONFIG" >&2 ||
        fail "there is no cluster $cluster in $region, or you may not see it" "aws eks list-clusters --region $region"
}

may_deploy() {  # the cluster answers, and lets us change the Deployment, which nobody else keeps
    local answer
    [ -z "$dry_run" ] || return 0
    answer=$(ask auth can-i patch deployments.apps --request-timeout=20s 2>&1) || true
    case $answer in
        *yes) ;;
        *no) fail "you may not change deployments in the namespace $namespace" "docs/kubernetes.md, Who may deploy" ;;
        *) fail "the cluster does not answer: ${answer##*$'\n'}" \
            "kubectl config get-contexts; name one with --context, or an EKS cluster with --cluster" ;;
    esac
    [ -z "$(ask get statefulset flask-app --ignore-not-found --output name)" ] || deployment=statefulset/flask-app
    [ -z "$(argo)" ] || fail "Argo CD keeps $deployment in $namespace and would undo this" \
        "scripts/gitops --image ..., which commits the digest; or take the Application away first"
}

newest_revision() {  # the number of the revision that serves, or nothing before a first deployment
    case $deployment in
        deployment/*) ask get "$deployment" --ignore-not-found \
            --output 'jsonpath={.metadata.annotations.deployment\.kubernetes\.io/revision}' ;;
        *) ask get controllerrevisions --selector app=flask-app --sort-by .revision \
            --output 'jsonpath={range .items[*]}{.revision}{"\n"}{end}' | tail -n 1 ;;
    esac
}

argo() {  # by what Argo CD knows the Deployment, if it keeps it
    ask get "$deployment" --ignore-not-found \
        --output 'jsonpath={.metadata.annotations.argocd\.argoproj\.io/tracking-id}{.metadata.labels.app\.kubernetes\.io/instance}'
}

say_why() {  # what the cluster knows of the pods that did not come up
    printf '\nwhy, as far as the cluster knows:\n' >&2
    {
        ask get "$deployment" --output \
            'jsonpath={range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{"\n"}{end}'
        ask get pods --selector app=flask-app --output \
            'jsonpath={range .items[*]}{.metadata.name}: {.status.phase} {.status.containerStatuses[*].state}{"\n"}{end}'
        ask get events --field-selector type=Warning --sort-by .metadata.creationTimestamp --output \
            'jsonpath={range .items[*]}{.involvedObject.name}: {.reason}: {.message}{"\n"}{end}' | tail -n 10
    } >&2 || true
}

api_key() {  # the keys of callers: those of this environment, else those of the Secret, where it may be read
    [ -z "$dry_run" ] || return 0
    [ -z "${LOCKSTEP_API_KEYS:-}" ] || { printf '%s' "$LOCKSTEP_API_KEYS"; return; }
    ask get secret capstone-secret --ignore-not-found --output 'jsonpath={.data.LOCKSTEP_API_KEYS}' 2>/dev/null | base64 --decode || true
}

smoke() {  # smoke URL VERSION [OPTION]...: ask the app, through a port of ours where there is no URL
    local url=$1 version=$2 keys
    shift 2
    keys=$(api_key)
    LOCKSTEP_API_KEYS=$keys run scripts/smoke ${url:+--url "$url"} ${version:+--version "$version"} "$@" \
        ${context:+--context "$context"} --namespace "$namespace"
}
