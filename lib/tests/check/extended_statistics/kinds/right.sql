create statistics s (dependencies, mcv) on a, b from t;
