"""The parts of a command line that several commands share.

arguments    parses the arguments of `evaluate`, `predict` and `explain`; `run_tool` runs these and
             `worker`
messages     turns an error that the user can fix into one line and exit code 1
rewording    makes a line of Hydra say what to type instead
advice       says what to type in place of a key, option, flag or word that does not exist
sweeps       says what to type for a sweep of another program
  foreign_sweeps  reads its functions, and writes them as Hydra does
vocabulary   the keys, groups and options that a command line may use
unsearched   what a single run says of a search that it was told of
repeated     says which overrides have no effect, because a later one sets the same key
shells       finds what a shell or an editor has left in a command line
extras       says how to install a plugin of Hydra
typed        checks the overrides that the user typed before Hydra composes them
leaving      ends a process without the seconds that Python takes for it
leftovers    removes what Hydra has written for a command that was refused
run_folder   keeps two runs out of one folder
console      the logging handler that prints plain lines; conf/hydra/*_logging names it
interrupts   signals: the first one asks for an orderly end, the second one ends at once
overrides    writes values as Hydra overrides, and overrides as a command to type
git          the commit and the changes of the code in a git repository
waiting      the line on a terminal that says what the command waits for
next_steps   the commands to type after a run or a study
program      the program of this process, or the one that a call from Python stands for, and
             whether its arguments ask for a study

`messages` uses `rewording` and `advice`; both read the `vocabulary`. `app`, `inspect`, `arguments`,
`sweep` and `api` use `messages`; `run`, `sweep`, `launch` and `api` use `interrupts`; `run`,
`sweep`, `space`, `api` and `inspect` use `overrides`; `run` and `sweep` use `git`; `sweep`,
`launch` and `api` use `program`; the commands, `run` and `sweep` use `waiting` and `next_steps`.
"""
