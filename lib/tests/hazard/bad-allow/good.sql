-- pum: allow ban-drop-table nothing of it is used
select 1;
