"""What follows the search of a study: its winner is scored, once.

stage            what the user asked for, and the name of the second study that keeps the jobs
job              a job as a trial of that study, claimed through a ledger like any other
agenda           which jobs are left, once the search is over
finals_session   how a worker does one of them
final_records    the results of the jobs, as the search's own study keeps them
"""
