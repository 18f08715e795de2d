# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Completion of stele(1) for bash. The options are those that the commands' own help names.

_stele()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local command=${COMP_WORDS[1]} i
	COMPREPLY=()

	if [[ $COMP_CWORD -eq 1 ]]; then
		mapfile -t COMPREPLY < <(compgen -W "run leaks report diff --help --version" -- "$cur")
		return
	fi
	# After the program of `stele run` its own completion goes on.
	if [[ $command == run ]]; then
		for ((i = 2; i < COMP_CWORD; i++)); do
			case ${COMP_WORDS[i]} in
			--)
				((i++))
				break
				;;
			-o) ((i++)) ;;
			= | -*) [[ ${COMP_WORDS[i + 1]} != = ]] || ((i += 2)) ;;
			*) break ;;
			esac
		done
		if ((i < COMP_CWORD)) && declare -F _command_offset >/dev/null; then
			_command_offset "$i"
			return
		fi
		if ((i <= COMP_CWORD)) && [[ $cur != -* && $prev != -o && $prev != = && $cur != = ]]; then
			mapfile -t COMPREPLY < <(compgen -c -- "$cur")
			return
		fi
	fi

	# --option=value reaches us as three words.
	local option=
	if [[ $cur == = ]]; then
		option=$prev cur=
	elif [[ $prev == = ]]; then
		option=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	case $option in
	--show) mapfile -t COMPREPLY < <(compgen -W "direct indirect possible reachable young lost all" -- "$cur") ;;
	--sort) mapfile -t COMPREPLY < <(compgen -W "bytes blocks age kind" -- "$cur") ;;
	--unwind) mapfile -t COMPREPLY < <(compgen -W "auto fp libunwind none" -- "$cur") ;;
	--suppress | --output) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	?*) return ;;
	*)
		if [[ $cur == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$(stele "$command" --help 2>/dev/null |
				grep -o -- '--[a-z][-a-z]*=\{0,1\}' | sort -u)" -- "$cur")
			[[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			[[ $command != leaks ]] || mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(
				cd /proc && compgen -G "[1-9]*" | grep "^$cur")
			compopt -o filenames
		fi
		;;
	esac
}
complete -F _stele stele
