create statistics s (ndistinct, mcv) on a, b from t;
