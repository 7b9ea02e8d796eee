"""What follows from what has happened: pure functions from a snapshot to a transition.

No database and no clock: the moment and a new token are given. One transition is one commit.

transition        what a decision is made of: outcomes, the moment, the transition
forward           after an execution of the current step
back              after undoing one, and which is undone next
outside           events, and what operators ask for
branches          a saga whose steps run beside each other: its row, the view of a branch
branch_outcomes   after an execution of one of several steps in flight
branch_deadlines  branches whose deadline passes, and what puts it off
branch_calls      events and operators, for branches
choosing          which of the steps in flight a call means
resuming          what ``resume`` allows
queueing          waiting for a turn, where only so many may run
"""
