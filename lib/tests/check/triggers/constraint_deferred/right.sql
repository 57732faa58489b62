create constraint trigger x after insert on t deferrable initially deferred for each row execute function f();
