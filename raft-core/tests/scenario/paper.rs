//! Where the rules of the paper and of Ongaro's dissertation are shown: a section, its rule, and the
//! scenarios in `tests/scenarios/`. Each of them names the section in its first lines.

pub(crate) const PAPER: &[(&str, &str, &[&str])] = &[
    (
        "Figure 2",
        "term, vote and entries are on stable storage before an RPC is answered",
        &[
            "election_vote_is_durable",
            "election_candidate_vote_is_durable",
            "replication_follower_acks_what_is_durable",
            "disk_torn_tail",
            "calls_documented",
        ],
    ),
    (
        "§5.1",
        "a majority of all members, no fewer",
        &["election_five", "cluster_of_one", "admission_other_members"],
    ),
    (
        "§5.1",
        "a higher term is adopted, and a leader of an older one refused",
        &["election_higher_term_in_reply", "replication_stale_leader_refused", "term_beyond_the_highest"],
    ),
    ("§5.2", "a candidate that a majority votes for leads", &["election_first"]),
    ("§5.2", "timeouts are drawn anew after a split vote", &["election_split_vote"]),
    (
        "§5.2",
        "one vote a term, which outlives a restart and is not given anew after the disk is lost",
        &[
            "election_vote_is_durable",
            "admission_new_cluster",
            "admission_two_of_three",
            "admission_wiped_member",
            "admission_wiped_minority",
            "admission_witness_must_store",
            "admission_old_welcome",
        ],
    ),
    (
        "§5.3",
        "AppendEntries is refused where the entry before does not match, and tried again",
        &[
            "replication_lost_append",
            "replication_reordered_append",
            "replication_shorter_follower",
            "calls_hostile",
        ],
    ),
    ("Figure 7", "a leader makes its followers' logs equal to its own", &["replication_figure_7"]),
    ("§5.3", "a conflict skips a term at a time", &["replication_conflict_skips_terms"]),
    ("§5.3", "entries that were not committed are overwritten", &["replication_uncommitted_overwritten"]),
    (
        "§5.4.1",
        "a voter's log is no more up to date than its leader's",
        &["election_log_up_to_date", "election_log_shorter"],
    ),
    (
        "§5.4.2",
        "an entry of an earlier term is committed only together with one of the leader's own",
        &["commit_figure_8", "commit_figure_8_e", "replication_old_entry_survives"],
    ),
    ("Figure 8", "what would happen otherwise", &["commit_figure_8", "commit_figure_8_e"]),
    ("§5.5", "RPCs may be repeated", &["replication_repeated_append", "replication_lost_reply"]),
    ("§5.5", "a server may crash", &["disk_failed", "disk_torn_tail"]),
    (
        "§8",
        "a leader begins its term with an entry of its own",
        &["election_first", "read_new_leader_waits_for_its_entry"],
    ),
    (
        "§3.10",
        "dissertation: leadership is handed over",
        &[
            "transfer_on_stop",
            "transfer_waits_for_the_log",
            "transfer_vote_leaves_first",
            "transfer_target_silent",
            "transfer_nobody_there",
        ],
    ),
    (
        "§4.2.3",
        "dissertation: who hears a leader votes for no other",
        &["election_lease", "election_eager_pre_vote"],
    ),
    ("§6.2", "dissertation: a leader that lost its majority steps down", &["election_check_quorum"]),
    (
        "§6.3",
        "dissertation: a command takes effect once",
        &[
            "session_key_twice",
            "session_numbered",
            "session_forward_lost",
            "session_forward_lost_unprotected",
            "session_second_try_overloaded",
            "session_rebuilt_from_log",
            "replication_uncommitted_unknown",
        ],
    ),
    (
        "§6.4",
        "dissertation: linearizable reads without the log",
        &[
            "read_index",
            "read_next_round_at_once",
            "read_cut_off_leader",
            "read_new_leader_waits_for_its_entry",
            "read_through_leader",
            "read_survives_leader_change",
            "read_round_of_its_own_term",
            "read_answer_of_an_earlier_life",
            "read_stale",
        ],
    ),
    (
        "§8",
        "a client is told nothing that is not certain",
        &["forward_answer_of_an_earlier_life", "replication_uncommitted_unknown"],
    ),
    (
        "§9.6",
        "dissertation: pre-vote",
        &["election_pre_vote", "election_after_process_died", "election_eager_pre_vote"],
    ),
    (
        "§10.2.1",
        "dissertation: the leader writes in parallel, and pipelines",
        &[
            "replication_leader_writes_in_parallel",
            "replication_leader_disk_slow",
            "replication_pipelined",
            "replication_window",
        ],
    ),
];
