"""What follows the search of a study: its best trials are trained again, and the winner is scored.

stage            what the user asked for, and the name of the second study that keeps the jobs
final_job        a job as a trial of that study, claimed through a ledger like any other
agenda           which jobs are left, once the search is over
  race             which finalist wins, and which ones a test separates from it
finals_session   how a worker does one of the jobs
final_records    the results of the jobs, as the search's own study keeps them
"""
