# shellcheck shell=bash
# To be sourced: settings from the environment or from flags, --dry-run, and what all scripts ask of gcloud.

# shellcheck disable=SC2034  # read by the scripts
MOUNT=/mnt/jaxprune # where setup.sh mounts SHARE
DRY_RUN=

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 2
}

# read_settings 'NAME ZONE' 'SPOT' "$@": required settings, optional ones, the command line.
# A flag wins over the environment; what follows -- goes to REST.
read_settings() {
    local required=$1 optional=$2 flag name
    shift 2
    for name in $optional; do
        printf -v "$name" %s "${!name-}"
    done
    REST=()
    while (($#)); do
        flag=${1%%=*}
        name=$(printf %s "${flag#--}" | tr a-z- A-Z_)
        case $1 in
            --) REST=("${@:2}") && break ;;
            --dry-run) DRY_RUN=1 ;;
            --*) is_one_of "$name" "$required $optional" || fail "$flag: unknown; expected $(flags "$required $optional"), --dry-run" ;;
            *) fail "$1: unexpected; expected $(flags "$required $optional"), --dry-run" ;;
        esac
        case $1 in
            --dry-run) ;;
            --spot) SPOT=1 ;;
            --?*=?*) printf -v "$name" %s "${1#*=}" ;;
            *) fail "$flag: no value; expected $flag=VALUE" ;;
        esac
        shift
    done
    for name in $required; do
        [[ -n ${!name-} ]] || fail "$name: missing; expected $(flags "$name") or the environment variable $name"
    done
    # shellcheck disable=SC2153  # NAME is a setting, name a loop variable
    [[ $NAME =~ ^[a-z]([-a-z0-9]*[a-z0-9])?$ ]] || fail "NAME: $NAME; expected small letters, digits and hyphens, such as bloom-v5e"
    PLACE=(--project="$PROJECT" --zone="$ZONE")
}

is_one_of() {
    [[ " $2 " == *" $1 "* ]]
}

flags() {
    local name line=
    for name in $1; do
        name=$(printf %s "$name" | tr A-Z_ a-z-)
        [[ $name == spot ]] || name+='=VALUE'
        line+="--$name, "
    done
    printf %s "${line%, }"
}

# The words as one line that a shell reads back as the same words.
quote() {
    local word line='' escaped="'\\''"
    for word in "$@"; do
        [[ $word =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]] || word="'${word//\'/$escaped}'"
        line+="$word "
    done
    printf '%s\n' "${line% }"
}

# Runs a command, or prints it with --dry-run.
run() {
    if [[ -n $DRY_RUN ]]; then
        quote "$@"
    else
        "$@"
    fi
}

on_all_workers() {
    run gcloud compute tpus tpu-vm ssh "$NAME" "${PLACE[@]}" --worker=all --command="$1"
}

list() {
    run gcloud compute tpus queued-resources list "${PLACE[@]}" --format='value(name.basename(),state.state)'
}

# The state of the queued resource, such as ACTIVE; nothing if there is none. (`describe` would fail then as it
# does without a network or a login.)
state() {
    list | awk -v name="$NAME" '$1 == name { print $2 }'
}

# Whether the slice has more than one host. Unknown types count as such: --distributed is right for one host too.
has_several_hosts() {
    case $ACCELERATOR in
        v5litepod-[148] | v6e-[148] | v5p-8 | v4-8) return 1 ;;
    esac
}
